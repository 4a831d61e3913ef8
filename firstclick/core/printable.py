"""Texts that others have sent, made fit for a terminal."""


def printable(text: str) -> str:
    """Write out what could make a terminal do something rather than show it.

    Those are controls, what turns the direction of writing, and whatever has no shape.
    """
    return "".join(
        char if char.isprintable() or char == "\t" else ascii(char)[1:-1]
        for char in text
    )
