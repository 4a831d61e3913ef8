"""Replaces itself by a program that ends when its parent ends, as another user.

``python -I -S exec_wrapper.py PARENT SIGNAL UID GID PROGRAM [ARGUMENT…]``: the kernel
sends SIGNAL to the program when the thread that started it ends. This works on Linux
only; elsewhere, the supervisor ends leftover processes at its next start. If UID and
GID are empty, the user stays the same.

This is a separate program because a ``preexec_fn`` is not safe in a process with
threads. It changes the user first and requests the signal afterwards, because a change
of user cancels that request.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: str, death: str, uid: str, gid: str, *command: str) -> None:
    if uid:
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(death))
        # The parent ended before the kernel knew whom to watch
        if os.getppid() != int(parent):
            os.kill(os.getpid(), signal.SIGKILL)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
