"""Raises the limit of open files to what the service is allowed. Most shells set it far below."""

import resource
from pathlib import Path

NR_OPEN = Path("/proc/sys/fs/nr_open")


def take_descriptors(nr_open: Path = NR_OPEN) -> int:
    """Raises the soft limit to the hard one, and returns it. Programs that the service starts get limits of their own.

    The kernel grants nothing above `nr_open`, even where the hard limit was set while that was higher.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = int(nr_open.read_text())
    limit = most if hard == resource.RLIM_INFINITY else min(hard, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return limit
