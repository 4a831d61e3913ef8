"""Bars and columns made of characters, in steps of an eighth where Unicode works."""

from collections.abc import Sequence

_ACROSS = " ▏▎▍▌▋▊▉█"
_UP = " ▁▂▃▄▅▆▇█"


def bar(share: float, width: int, *, ascii_only: bool = False) -> str:
    """Return a horizontal bar, padded with blanks to ``width`` characters.

    Any share above 0 is visible. For example, ``bar(0.5, 4)`` is ``"██  "``.
    """
    if ascii_only:
        return ("#" * (round(share * width) or share > 0)).ljust(width)
    eighths = max(round(share * width * 8), share > 0)
    full, rest = divmod(eighths, 8)
    return ("█" * full + _ACROSS[rest].strip()).ljust(width)


def columns(
    shares: Sequence[float], height: int, width: int, *, ascii_only: bool = False
) -> list[str]:
    """Return columns side by side, each ``width`` characters, as lines from the top."""
    lines = []
    for row in reversed(range(height)):
        cells = []
        for share in shares:
            if ascii_only:
                eighths = 8 * max(round(share * height) - row, 0)
            else:
                eighths = max(round(share * height * 8), share > 0) - 8 * row
            cell = _UP[min(max(eighths, 0), 8)]
            cells.append((cell.replace("█", "#") if ascii_only else cell) * width)
        lines.append("".join(cells))
    return lines
