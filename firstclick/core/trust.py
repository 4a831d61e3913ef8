"""Checks that other users of the machine can't redirect a path.

Anyone who may write to a directory on the way to a file can put another file in its
place at any moment. So it isn't enough to check the file itself.
"""

import os
import stat
from pathlib import Path

_MOST_LINKS = 40


def changeable(path: Path) -> Path | None:
    """Return the first entry on the way to ``path`` that other users could replace.

    None if there is none. Other users are all except root and ourselves. For example,
    ``/srv/shared`` with mode 0777 is returned for ``/srv/shared/home``.

    Links are followed. Entries that don't exist yet are fine, because we create them.
    Unless we are root, two things are left to the machine's administrator: directories
    that a group can write to, and ones that belong to somebody else, except inside
    shared directories such as /tmp. Raises OSError.
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
    """Return whether other users can neither change an entry nor replace it.

    ``shared`` says that the entry is in a directory such as /tmp: everybody may create
    entries there, but thanks to the sticky bit only an entry's owner may remove it.
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
