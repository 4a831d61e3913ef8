"""What processes have of the shell's environment: what they need, and no more.

A variable of the shell's must not decide what the pipeline does: ``PGOPTIONS`` or
``PGSERVICE`` where it connects to, ``DBT_FULL_REFRESH`` or ``DBT_EMPTY`` what is
deployed, ``http_proxy`` who is asked whether the live page is there. So each process
that we start gets the variables of this module and its own.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

# Not PG_COLOR, which is how psql looks
_LIBPQ = re.compile(r"PG[A-Z][A-Z_]*")

_KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME"),
    *(
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "DYLD_LIBRARY_PATH",
        "DYLD_FALLBACK_LIBRARY_PATH",
    ),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)

_FOR_ALL = {
    "LANG": "C.UTF-8",
    # Our own code, and no other that the shell's PYTHONPATH leads to
    "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    "PYTHONUNBUFFERED": "1",
    # Whatever LANG means on this machine
    "PYTHONUTF8": "1",
}

DOWNLOADING = (
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "XDG_CONFIG_HOME"),
)
"""What a process needs besides that downloads something."""

MODELS = ("DBT_ENV_",)
"""What dbt has besides: variables of the user's, which models read by ``env_var``."""


def forget_libpq() -> None:
    """Take libpq's variables out of our environment: ``DATABASE_URL`` alone decides.

    Each of them would else decide what a URL leaves open, for example ``PGOPTIONS``,
    ``PGSERVICE``, ``PGHOSTADDR`` and ``PGTARGETSESSIONATTRS``.
    """
    for name in [name for name in os.environ if _LIBPQ.fullmatch(name)]:
        del os.environ[name]


def child_environment(
    own: Mapping[str, str], also: Sequence[str] = ()
) -> dict[str, str]:
    """The environment of a process that we start: its ``own`` variables come first.

    ``also`` names others of the shell's that it gets; a name that ends in an
    underscore stands for all that begin with it.
    """
    names = {*_KEPT, *also}
    prefixes = tuple(name for name in also if name.endswith("_"))
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in names or name.startswith(prefixes)
    }
    return {**kept, **_FOR_ALL, **own}
