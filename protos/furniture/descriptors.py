"""How many files a service may have open: as many as it is allowed to. Most shells hand out a small part of that."""

import resource


def take_descriptors() -> None:
    """Raises the soft limit to the hard one. What a service starts for others has limits of its own."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
