"""Keeps out what a service never uses: structlog loads rich where it is installed, for tracebacks that we do not print.

That would be a seventh of an idle service's memory (8 MB) and 50 ms of its start. The CLI, in whose process services run too, may
still import rich afterwards.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_UNUSED = "rich"


@contextmanager
def lean_imports() -> Iterator[None]:
    """Lets imports in this block find no rich, unless it was loaded before."""
    if _UNUSED in sys.modules:
        yield
        return
    sys.modules[_UNUSED] = None  # type: ignore[assignment] # Python's mark for a module that cannot be imported
    try:
        yield
    finally:
        del sys.modules[_UNUSED]
