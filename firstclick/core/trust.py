"""Whether a path leads where we think, whatever other users of the machine do.

Whoever may write to a directory on the way can put something else in our place there
at any moment, so there is no use in looking at what is there now.
"""

import os
import stat
from pathlib import Path

_MOST_LINKS = 40


def changeable(path: Path) -> Path | None:
    """The first thing on the way to ``path`` that others could put another one for.

    Others are all but root and ourselves. Links are followed; what does not exist yet
    is ours to make. Where we are not root, what belongs to a group, or to somebody
    else outside of /tmp and its like, is for whoever set up the machine to decide.
    Raises OSError.
    """
    here = Path("/")
    shared = False
    ahead = list(reversed(Path(os.path.abspath(path)).parts[1:]))
    links = 0
    while ahead:
        name = ahead.pop()
        if name == "..":
            here = here.parent
            shared = bool(here.lstat().st_mode & 0o002)
            continue
        entry = here / name
        try:
            status = entry.lstat()
        except FileNotFoundError:
            return None
        if not _is_ours(status, shared):
            return entry
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MOST_LINKS:
                return entry
            target = Path(os.readlink(entry))
            if target.is_absolute():
                here = Path("/")
                shared = False
            ahead.extend(part for part in reversed(target.parts) if part != "/")
        else:
            here = entry
            shared = bool(status.st_mode & 0o002)
    return None


def _is_ours(status: os.stat_result, shared: bool) -> bool:
    """Whether others can't change what is in it, nor put another one in its place.

    It is in a ``shared`` directory like /tmp, where everybody may put things and,
    thanks to the sticky bit, only their owner may take them away.
    """
    us = os.geteuid()
    if status.st_uid not in (0, us) and (us == 0 or shared):
        return False
    if stat.S_ISLNK(status.st_mode):
        return True
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return True
    of_group = us == 0 and status.st_gid != 0 and status.st_mode & 0o020
    return not (of_group or status.st_mode & 0o002)
