"""Lets a service end with the process that started it, however that one ended, SIGKILL included.

The parent holds the writing end of a pipe and writes nothing; the service reads the other end as its stdin. The kernel closes the
pipe with its last holder, so there is no process id to mistake and nothing to poll. (`PR_SET_PDEATHSIG` would follow the *thread*
that forked, and needs code between fork and exec, which a process with gRPC threads must not run.)
"""

import os
import signal
import threading

READ_BYTES = 4096


def stop_at_end_of(fd: int) -> None:
    """Sends this process SIGTERM when no process holds the other end of `fd` any more. Returns at once."""

    def wait() -> None:
        while os.read(fd, READ_BYTES):
            pass  # input means nothing; only the end does
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
