"""Makes untrusted text safe to print on a terminal."""


def printable(text: str) -> str:
    """Escape the characters that a terminal would obey or hide instead of showing.

    Those are control characters, marks that change the direction of writing, and other
    invisible characters. For example, the escape character becomes ``\\x1b``.
    """
    return "".join(
        char if char.isprintable() or char == "\t" else ascii(char)[1:-1]
        for char in text
    )
