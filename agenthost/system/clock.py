"""The host's time: wall time when the daemon began, and from there on a clock that nobody sets.

So nothing that is decided here jumps with the machine's clock. Wall time itself is read for people to look at, and for nothing
else: by the shims when they let an agent go, for each cut, and of the files that shims write.
"""

import time
from collections.abc import Callable


def steady_clock() -> Callable[[], float]:
    """Gives a function for the seconds since 1970. They also pass while the machine sleeps, as they do for shims."""
    begun = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return lambda: begun + time.clock_gettime(time.CLOCK_BOOTTIME)
