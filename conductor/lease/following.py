"""Follows the runs at work in a shared store: the state that a standby shows. Takeover does not trust it, and reads all again.

It knows what is stored: runs and their gates. What hosts do at this moment only the active conductor knows, and keeps in the store.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import structlog

from conductor.core.folded.run import Run
from conductor.core.model.conductor_state import ConductorState, Limits, Ongoing
from conductor.core.model.events.run_events import RunCreated
from conductor.core.model.registry import list_entries
from conductor.errors import DatabaseDamagedError, NotFoundError, StorageError
from conductor.store.folding import fold_stored
from conductor.store.records import FeedEntry, StoredEvent
from conductor.store.shared import SharedStore

# NOTIFY wakes it earlier; nothing depends on that.
LOOK_SECONDS = 1.0
# After a wake-up, so that a busy run is folded so often and no more.
PAUSE_SECONDS = 0.25

_log = structlog.get_logger(__name__)


class Following:
    """Follows while `is_needed`. `refresh` reads what others follow; `configured` holds the configured hosts, by address."""

    def __init__(
        self,
        store: SharedStore,
        is_needed: Callable[[], bool],
        refresh: Callable[[], Awaitable[None]],
        *,
        limits: Limits,
        configured: Mapping[str, str],
    ) -> None:
        self._store = store
        self._refresh = refresh
        self._is_needed = is_needed
        self.limits = limits
        self.configured = configured
        self._place: int | None = None  # in the feed; None before the first look
        self._runs: dict[str, tuple[int, Run]] = {}  # with the position of the last event
        self.state = ConductorState(limits=limits)
        self.presence = b""
        self._known_at = time.monotonic()

    def lag(self) -> float:
        """Returns how long ago everything that was stored was known here."""
        return time.monotonic() - self._known_at

    async def run(self) -> None:
        """Follows until it is cancelled."""
        has_failed = False
        while True:
            with self._store.watch() as watcher:
                try:
                    if self._is_needed():
                        await self._catch_up()
                    else:
                        self._forget()
                    has_failed = False
                except StorageError as error:
                    if not has_failed:
                        _log.warning("following_failed", error=str(error))
                    has_failed = True
                await asyncio.sleep(PAUSE_SECONDS)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS - PAUSE_SECONDS):
                        await watcher.changed()

    def _forget(self) -> None:
        self._place = None
        self._runs.clear()

    async def _catch_up(self) -> None:
        if self._place is None:
            self._place = await self._store.last_id()
            for stored in await self._store.unfinished():
                with suppress(DatabaseDamagedError):
                    self._keep(stored.run, stored.events[-1].position, fold_stored(stored.run, stored.events))
        has_moved = True
        while has_moved:
            page = await self._store.feed(self._place)
            for entry in page.entries:
                with suppress(DatabaseDamagedError, NotFoundError):
                    await self._take(entry)
            has_moved, self._place = page.last_id > self._place, page.last_id
        registry = list_entries(self.configured, await self._store.hosts())
        ongoing = {name: Ongoing(run) for name, (_, run) in self._runs.items()}
        self.state = ConductorState(ongoing=ongoing, registry=registry, limits=self.limits)
        self.presence = await self._store.presence()
        await self._refresh()
        self._known_at = time.monotonic()

    async def _take(self, entry: FeedEntry) -> None:
        if entry.stored is None:
            self._runs.pop(entry.run, None)
            return
        position, run = self._runs.get(entry.run, (0, None))
        if entry.stored.position <= position:
            return
        events = [entry.stored]
        if run is None and not isinstance(entry.stored.event, RunCreated):
            events = await self._store.events(entry.run, upto=entry.stored.position)
        self._keep_folded(entry.run, events, run)

    def _keep_folded(self, name: str, events: list[StoredEvent], run: Run | None) -> None:
        self._runs.pop(name, None)  # of a run that does not fit, nothing is shown
        self._keep(name, events[-1].position, fold_stored(name, events, run))

    def _keep(self, name: str, position: int, run: Run) -> None:
        if not run.is_settled:
            self._runs[name] = (position, run)
