"""Keeps the shell's environment variables away from the pipeline's processes.

A variable in your shell must not change what the pipeline does. For example,
``PGOPTIONS`` and ``PGSERVICE`` would change where it connects, ``DBT_FULL_REFRESH`` and
``DBT_EMPTY`` what it deploys, and ``http_proxy`` where it looks for the live page. So
each process that First Click starts only gets its own variables and those that this
module lists.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

# PG_COLOR doesn't match: it only changes how psql looks
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
    # Replaces the shell's PYTHONPATH, which could lead to other code
    "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    "PYTHONUNBUFFERED": "1",
    # UTF-8, even on a machine without the locale C.UTF-8
    "PYTHONUTF8": "1",
}

DOWNLOADING = (
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "XDG_CONFIG_HOME"),
)
"""Additional variables of a process that downloads something."""

MODELS = ("DBT_ENV_",)
"""Additional variables of dbt: your own, which models read with ``env_var``. The
underscore at the end makes this a prefix."""


def forget_libpq() -> None:
    """Remove libpq's variables from this process, so that only ``DATABASE_URL`` counts.

    Otherwise ``PGOPTIONS``, ``PGSERVICE``, ``PGHOSTADDR``, ``PGTARGETSESSIONATTRS`` and
    others would apply wherever the URL leaves something open.
    """
    for name in [name for name in os.environ if _LIBPQ.fullmatch(name)]:
        del os.environ[name]


def child_environment(
    own: Mapping[str, str], also: Sequence[str] = ()
) -> dict[str, str]:
    """Return the environment of a child process. Its ``own`` variables take precedence.

    ``also`` names more of the shell's variables that it gets. A name that ends in an
    underscore is a prefix: ``DBT_ENV_`` stands for ``DBT_ENV_REGION`` and so on.
    """
    names = {*_KEPT, *also}
    prefixes = tuple(name for name in also if name.endswith("_"))
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in names or name.startswith(prefixes)
    }
    return {**kept, **_FOR_ALL, **own}
