"""Measures how late the event loop is: a timer that fires late shows that something held it."""

import asyncio

from prometheus_client import CollectorRegistry, Histogram

from servicekit.metrics.page import MOMENTS

INTERVAL_SECONDS = 0.5


class LoopLag:
    """A timer that measures its own lateness."""

    def __init__(self, prefix: str, registry: CollectorRegistry) -> None:
        self._late = Histogram(
            f"{prefix}_event_loop_lag_seconds",
            "Lateness of a timer of the event loop, measured twice a second.",
            buckets=MOMENTS,
            registry=registry,
        )

    async def run(self) -> None:
        """Measures until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL_SECONDS
            await asyncio.sleep(INTERVAL_SECONDS)
            self._late.observe(max(0.0, loop.time() - due))
