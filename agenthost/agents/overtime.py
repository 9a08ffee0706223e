"""Ends a detector that asks for the time too seldom: strange files may keep it in one loop for hours."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

GRACE_SECONDS = 5.0


class OvertimeError(BaseException):
    """A detector used up its time. It is no Exception, so that no detector catches it."""


@contextlib.contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """Raises OvertimeError in the block when it has used that much processor time. For the main thread."""
    before = signal.signal(signal.SIGPROF, _end)
    signal.setitimer(signal.ITIMER_PROF, max(seconds, 0.0) + GRACE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _end(_: int, __: FrameType | None) -> NoReturn:
    raise OvertimeError
