"""Ends a command whose output cannot be written: with the code of its verdict where that is known.

`command | head` closes our pipe, `>/dev/full` fills our disk. Neither must turn a failure into exit code 0, nor be a traceback.
"""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# The code that a shell reports for a program whose reader left.
READER_LEFT = 128 + signal.SIGPIPE
NOT_WRITTEN = 1
# The errors of writing to a pipe without a reader, a full disk, or a broken one.
_OUTPUT_LOST = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO})


class OutputLostError(Exception):
    """Stdout, or stderr for a remark, takes no more. `verdict` is the command's exit code, where it was known."""

    def __init__(self, error: OSError, *, is_remark: bool = False, verdict: int | None = None) -> None:
        super().__init__(error.strerror or str(error))
        self.has_reader = not isinstance(error, BrokenPipeError)
        self.is_remark = is_remark
        self.verdict = verdict


@contextmanager
def verdict(code: int) -> Iterator[None]:
    """Lets the command end with this code where its output is lost meanwhile."""
    try:
        yield
    except OutputLostError as lost:
        lost.verdict = code
        raise


@contextmanager
def output_lost() -> Iterator[None]:
    """Makes an OutputLostError of what a library raises when it cannot print. Other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in _OUTPUT_LOST:
            raise
        raise OutputLostError(error) from error


def code_of(lost: OutputLostError, program: str) -> int:
    """Returns the exit code of a command whose output was lost; says so where the reader is still there."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
            continue
        _discard(stream.fileno())
    if not lost.has_reader:
        return READER_LEFT if lost.verdict is None else lost.verdict
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{program}: the output cannot be written: {lost}\n")
        sys.stderr.flush()
    return lost.verdict or (0 if lost.is_remark and lost.verdict == 0 else NOT_WRITTEN)


def _discard(number: int) -> None:
    """Makes a stream write to nowhere: Python must not complain at exit of what it still holds."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
