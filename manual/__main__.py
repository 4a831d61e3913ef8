"""Write docs/operations.md."""

from manual.page import PAGE, render

if __name__ == "__main__":
    PAGE.write_text(render())
