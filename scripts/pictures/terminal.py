"""A picture of the demo's terminal view during a real run, as SVG for the README.

``python -m pictures.terminal FILE`` uses the stack of FIRSTCLICK_HOME. It takes three
minutes: a stack is slowest in its first ones, and the view shows the freshness of the
last minute.
"""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from firstclick.core.settings import Settings
from firstclick.demo.display import Plain, group
from firstclick.demo.run import run
from firstclick.demo.view import Frame, view
from firstclick.demo.watch import Snapshot

RATE = 500
"""Events per second."""
DURATION = 150
"""Length of the run in seconds."""
WIDTH, HEIGHT = 100, 32
"""Size of the terminal in characters."""

# Rich's own format, without the fonts that it would load from another site
_FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
    font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace;
    font-size: {char_height}px;
    line-height: {line_height}px;
}}
.{unique_id}-title {{
    font-family: "DejaVu Sans", Arial, sans-serif;
    font-size: 18px;
    font-weight: bold;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})"
    clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class Picture(Plain):
    """A view that prints a run as lines, and draws it shortly before its end."""

    def __init__(self, file: Path) -> None:
        super().__init__(sys.stdout)
        self._file = file
        self._drawn = ""

    @contextlib.contextmanager
    def live(self, frame: Frame) -> Iterator[None]:
        self._endless = Frame(frame.address, frame.rate, None)
        with super().live(frame):
            yield

    def show(self, snapshot: Snapshot) -> None:
        super().show(snapshot)
        if not self._drawn and snapshot.seconds > DURATION - 5:
            self._drawn = draw(snapshot, self._endless)

    def report(self, snapshot: Snapshot) -> None:
        if self._drawn:
            self._file.write_text(self._drawn, encoding="utf-8")
        super().report(snapshot)


def draw(snapshot: Snapshot, frame: Frame) -> str:
    """Return the SVG, which loads nothing from elsewhere."""
    console = Console(
        record=True,
        file=io.StringIO(),
        width=WIDTH,
        height=HEIGHT,
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    console.print(group(view(snapshot, frame, WIDTH, HEIGHT)))
    return console.export_svg(
        title="scripts/demo", code_format=_FORMAT, unique_id="terminal"
    )


if __name__ == "__main__":
    run(
        Settings.load(),
        duration=DURATION,
        rate=RATE,
        shown=Picture(Path(sys.argv[1])),
    )
