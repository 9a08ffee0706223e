"""Reads metrics as Prometheus does: over HTTP, with the library's parser."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

Labels = Mapping[str, str]


async def fetch(path: Path, request: bytes = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n") -> tuple[bytes, bytes]:
    """Returns head and body of the answer of an HTTP server on a unix socket."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(request)
        async with asyncio.timeout(20):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    return head, body


class Scraped:
    """One page of metrics that the parser accepted."""

    def __init__(self, page: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(page)}
        samples = [sample for family in self.families.values() for sample in family.samples]
        self.samples = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
        assert len(samples) == len(self.samples), "a series is there twice"

    def value(self, name: str, **labels: str) -> float:
        """Returns the value of a series; 0 for one that is not there."""
        return self.samples.get((name, tuple(sorted(labels.items()))), 0.0)


async def scrape(path: Path) -> Scraped:
    """Reads and parses the page of a service that serves its metrics on a unix socket."""
    head, body = await fetch(path)
    assert head.startswith(b"HTTP/1.1 200"), head
    return Scraped(body.decode())
