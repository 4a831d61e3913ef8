"""What a process of ours has of the shell's environment."""

import os
import re

_LIBPQ = re.compile(r"PG[A-Z]+")


def forget_libpq() -> None:
    """Take libpq's variables out of our environment: ``DATABASE_URL`` alone decides.

    Each of them would else decide what a URL leaves open, for example ``PGOPTIONS``,
    ``PGSERVICE``, ``PGHOSTADDR`` and ``PGTARGETSESSIONATTRS``.
    """
    for name in [name for name in os.environ if _LIBPQ.fullmatch(name)]:
        del os.environ[name]
