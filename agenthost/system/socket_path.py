"""Shortens paths of unix sockets so that they fit into an address (107 bytes), wherever their folder is."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def short_path(folder: Path, name: str) -> Iterator[str]:
    """Yields a short path of that file, valid inside the block."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)
