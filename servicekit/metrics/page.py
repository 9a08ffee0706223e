"""Makes the page that Prometheus reads. The library prometheus-client is an extra: nothing imports this room but `--metrics`."""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

# Upper bounds of histograms, in seconds: of what takes moments, and of what agents and people take.
MOMENTS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
MINUTES = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)

# One page serves all readers for so long.
PAGE_SECONDS = 1.0

# Returns metrics of how the service stands. A thread calls it, so that the event loop does not wait: it copies what the loop may
# change meanwhile before it looks through it, and reads no database.
Gather = Callable[[], Iterable[Metric]]


def make_registry() -> CollectorRegistry:
    """Returns a registry with the metrics of this process: its processor time, memory, descriptors and start."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    return registry


class _Gathered(Collector):
    """Holds what was gathered for the page that is being made."""

    def __init__(self) -> None:
        self.metrics: tuple[Metric, ...] = ()

    def collect(self) -> Iterator[Metric]:
        yield from self.metrics


class Page:
    """The page: counted events, and beside them the present. A thread writes it, so that the event loop does not wait."""

    def __init__(self, registry: CollectorRegistry, gather: Gather) -> None:
        self._registry = registry
        self._gather = gather
        self._gathered = _Gathered()
        registry.register(self._gathered)
        self._making = asyncio.Lock()
        self._made = b""
        self._fresh_until = 0.0

    async def read(self) -> bytes:
        """Returns the page, at most `PAGE_SECONDS` old."""
        loop = asyncio.get_running_loop()
        async with self._making:
            if loop.time() >= self._fresh_until:
                self._made = await asyncio.to_thread(self._make)
                self._fresh_until = loop.time() + PAGE_SECONDS
            return self._made

    def _make(self) -> bytes:
        self._gathered.metrics = tuple(self._gather())
        return generate_latest(self._registry)
