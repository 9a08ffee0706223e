"""Sets up the process of a service or command: its standard streams, its user's folders, its limit of files, its end."""

import contextlib
import os
import pwd
import resource
import signal
import sys
import threading
from pathlib import Path

NR_OPEN = Path("/proc/sys/fs/nr_open")
READ_BYTES = 4096


def open_what_is_closed() -> None:
    """Opens /dev/null for each standard stream that the shell closed (`>&-`).

    A file of ours would get its number otherwise, and what a library writes to stderr would be written into that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # The lowest free number, which is this one: the streams before it are open by now.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - its only way
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", closefd=False))  # noqa: SIM115 - for the process's life


def user_folder(variable: str, below_home: str) -> Path | None:
    """Returns the folder that a variable such as XDG_STATE_HOME names, or the usual one; None for a user without a home.

    A relative path is no answer, as the XDG specification says: data would lie wherever the command happens to be called.
    """
    if (given := os.environ.get(variable, "")).startswith("/"):
        return Path(given)
    home = os.environ.get("HOME", "")
    with contextlib.suppress(KeyError):
        home = home or pwd.getpwuid(os.getuid()).pw_dir
    return Path(home, below_home) if home.startswith("/") else None


def take_descriptors(nr_open: Path = NR_OPEN) -> int:
    """Raises the soft limit of open files to the hard one, and returns it. Most shells set it far below.

    Programs that the service starts get limits of their own. The kernel grants nothing above
    `nr_open`, even where the hard limit was set while that was higher.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = int(nr_open.read_text())
    limit = most if hard == resource.RLIM_INFINITY else min(hard, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return limit


def stop_at_end_of(fd: int) -> None:
    """Sends this process SIGTERM when no process holds the other end of `fd` any more. Returns at once.

    The parent holds the writing end of a pipe and writes nothing; the service reads the other end as its stdin, and so ends
    however the parent ended, SIGKILL included. The kernel closes the pipe with its last holder, so there is no process id to
    mistake and nothing to poll. (`PR_SET_PDEATHSIG` would follow the *thread* that forked, and needs code between fork and exec,
    which a process with gRPC threads must not run.)
    """

    def wait() -> None:
        while os.read(fd, READ_BYTES):
            pass  # input means nothing; only the end does
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
