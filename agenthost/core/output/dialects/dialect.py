"""The interface of a dialect: it turns the bytes of an agent's stdout into reports.

The reports, joined, are the same however the bytes were cut. Bytes that are not UTF-8 become U+FFFD. A line that a dialect does not
know becomes log.
"""

from collections.abc import Iterator
from typing import Protocol

from agenthost.core.output.report import Parsed


class DialectReader(Protocol):
    """Reads one stream of bytes."""

    def feed(self, data: bytes) -> Iterator[Parsed]:
        """Yields what these bytes complete."""

    def finish(self) -> Iterator[Parsed]:
        """Yields what was still incomplete; nothing comes after it."""
