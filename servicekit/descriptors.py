"""How many files a service may have open: as many as it is allowed to. Most shells hand out a small part of that."""

import resource
from pathlib import Path

NR_OPEN = Path("/proc/sys/fs/nr_open")


def take_descriptors(nr_open: Path = NR_OPEN) -> int:
    """Raises the soft limit to the hard one, and gives it. What a service starts for others has limits of its own.

    The kernel grants nothing above `nr_open`, not even to those whose hard limit was set while that was higher.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = int(nr_open.read_text())
    limit = most if hard == resource.RLIM_INFINITY else min(hard, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return limit
