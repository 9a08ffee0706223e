"""Joins the metrics of a conductor: what counts events, what gathers the present, and the server of the page."""

import asyncio
from typing import TYPE_CHECKING

import structlog

from conductor.engine.stored import Stored
from conductor.errors import ConfigurationError
from conductor.telemetry.event_metrics import EventMetrics
from conductor.telemetry.present_metrics import PresentMetrics
from conductor.telemetry.sources import Sources
from servicekit.addresses import Address, AddressError
from servicekit.metrics.exposition import Exposition
from servicekit.metrics.loop_lag import LoopLag
from servicekit.metrics.page import CONTENT_TYPE, Page, make_registry

if TYPE_CHECKING:
    from servicekit.tls.readers import ReaderDoor

_log = structlog.get_logger(__name__)


class Metrics:
    """Counts what is stored, and serves the page. It is a part that works until it is cancelled."""

    def __init__(self, address: Address, sources: Sources, door: "ReaderDoor | None") -> None:
        registry = make_registry()
        self._events = EventMetrics(registry)
        self._lag = LoopLag("conductor", registry)
        self.exposition = Exposition(address, Page(registry, PresentMetrics(sources).gather).read, CONTENT_TYPE, door)

    def note_read(self, seconds: float) -> None:
        """Notes how long a read of the store took."""
        self._events.note_read(seconds)

    def note_stored(self, stored: Stored) -> None:
        """Counts what was stored."""
        try:
            self._events.note_stored(stored)
        except Exception:  # noqa: BLE001 - a defect in counting must not end the engine
            _log.exception("metrics_not_counted")

    async def run(self) -> None:
        """Serves the page. Raises ConfigurationError where nothing can listen at its address."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._lag.run())
            try:
                await self.exposition.run()
            except AddressError as error:
                raise ConfigurationError(
                    str(error), hint="give another address:  conductor serve --metrics ADDRESS"
                ) from error
