"""Become another program, as another user, that dies when its parent does.

``python -I -S exec_wrapper.py PARENT SIGNAL UID GID PROGRAM [ARGUMENT…]``: the
program gets SIGNAL when the thread that started it ends (Linux only; elsewhere the
supervisor's next start ends what it left). Empty UID and GID keep the user. This is a
program of its own rather than a ``preexec_fn``, which is not safe in a process with
threads. The order matters: a change of user clears the signal.
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
        if os.getppid() != int(parent):
            os.kill(os.getpid(), signal.SIGKILL)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
