"""A service of a world dies with the world, also where that is killed: nothing of it may go on alone."""

import ctypes
import os
import signal

PARENT = "CHAOS_PARENT"
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Has the kernel kill this process when its parent dies; at once where that has died already."""
    parent = os.environ.get(PARENT, "")
    if not parent:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this process cannot be made to die with its parent")
    if os.getppid() != int(parent):
        os.kill(os.getpid(), signal.SIGKILL)
