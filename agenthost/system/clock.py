"""Keeps the host's time: wall time of the daemon's start, and from there on a clock that cannot be set.

So no decision jumps with the machine's clock. Wall time is read only to be shown: by shims when they release an agent, for each
cut, and from the files that shims write.
"""

import time
from collections.abc import Callable


def steady_clock() -> Callable[[], float]:
    """Returns a function for the seconds since 1970. They also pass while the machine sleeps, as they do for shims."""
    begun = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return lambda: begun + time.clock_gettime(time.CLOCK_BOOTTIME)
