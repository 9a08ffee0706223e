"""Keeps out what a service never uses: structlog loads rich where it finds it, for tracebacks that ours does not print.

That would be a seventh of an idle service's memory (8 MB) and 50 ms of its start. The CLI, in whose process services run too,
may import rich all the same, afterwards.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_UNUSED = "rich"


@contextmanager
def lean_imports() -> Iterator[None]:
    """Imports inside of this block find no rich, unless it was loaded before."""
    if _UNUSED in sys.modules:
        yield
        return
    sys.modules[_UNUSED] = None  # type: ignore[assignment] # this is how Python is told that there is no such module
    try:
        yield
    finally:
        del sys.modules[_UNUSED]
