"""The stores that `./dev bench --store postgresql` measures beside each other: SQLite, PostgreSQL, and one that is 1 ms away.

The server is the tests', with all that makes it durable. What is 1 ms away is behind a cable of our own (tests/kit), half of it on
each way, as in another room of the same building.
"""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import ROOT
from tests.kit.databases import Databases
from tests.kit.postgresql import share

SQLITE, POSTGRESQL, DISTANT = "SQLite", "PostgreSQL", "PostgreSQL, 1 ms away"
ENGINES = (SQLITE, POSTGRESQL, DISTANT)
ONE_WAY_SECONDS = 0.0005


class Engines:
    """Makes a database of each engine."""

    def __init__(self, databases: Databases, stack: contextlib.ExitStack) -> None:
        self._databases = databases
        self._stack = stack

    def url(self, engine: str) -> str:
        """Returns the URL of an empty database for `--store`; empty for SQLite."""
        if engine == SQLITE:
            return ""
        url = self._databases.take()
        return url if engine == POSTGRESQL else self._stack.enter_context(_distant(url))


@contextlib.contextmanager
def engines() -> Iterator[Engines]:
    """Starts the server."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as stack:
        yield Engines(Databases(share(Path(folder), is_durable=True)), stack)


@contextlib.contextmanager
def _distant(url: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.kit.postgresql_cable", url, str(ONE_WAY_SECONDS)]
    cable = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert cable.stdin is not None
    assert cable.stdout is not None
    with cable:
        yield cable.stdout.readline().strip()
        cable.stdin.close()
