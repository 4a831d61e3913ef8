"""The command line: errors and signals. firstclick.cli.commands has the commands."""

import io
import os
import sys
from typing import NoReturn

from firstclick.core.printable import printable


def main() -> NoReturn:
    """Run the command line. An error is one line on stderr and status 1."""
    for stream in (sys.stdout, sys.stderr):
        # One that can't write a character must not end in a traceback
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        status = _run()
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        # Nobody reads any more; keep Python from complaining when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)


def _run() -> int:
    # Imported here, where Ctrl-C is no traceback: it takes half a second
    import typer

    from firstclick.cli.commands import app
    from firstclick.core.environment import forget_libpq
    from firstclick.core.errors import FirstClickError

    forget_libpq()

    try:
        return app(standalone_mode=False) or 0
    except typer.TyperException as error:
        # Empty where the help was shown for want of a command
        if message := error.format_message().rstrip("."):
            _complain(f"{message}: see `firstclick --help`")
        return error.exit_code
    except FirstClickError as error:
        _complain(str(error))
        return 1


def _complain(message: str) -> None:
    print(f"firstclick: {printable(' '.join(message.split()))}", file=sys.stderr)
