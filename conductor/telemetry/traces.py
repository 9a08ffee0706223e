"""Tells a collector the spans of what ended, after it was stored: at least once, and each span under the same id.

The journal is the queue. A file in the data folder says how far it was told, so a restart goes on from there, and a collector
that is down or slow delays nothing but its spans. What ended more than a day ago is left out, and the log says how much.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import structlog

from conductor.core.folded.run import Run
from conductor.core.model.commands import Record
from conductor.core.model.events.attempt_events import AttemptEnded
from conductor.core.model.events.run_events import Event, RunCreated
from conductor.core.model.model_requests import ModelRequest, read_requests
from conductor.engine.stored import Stored
from conductor.errors import DatabaseDamagedError, NotFoundError, StorageError
from conductor.store.folding import fold_stored
from conductor.store.port import Store
from conductor.store.records import FeedPage, StoredEvent
from conductor.telemetry.spans import ENDS, Span, spans_of

# Ends come in flocks: what comes within a moment is told together.
GATHER_SECONDS = 0.5
MAX_SPANS_AT_ONCE = 500
MAX_AGE_SECONDS = 24 * 3600.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
CURSOR = "traces.json"

Result = TypeVar("Result")

_log = structlog.get_logger(__name__)


class Export(Protocol):
    """Takes spans."""

    async def send(self, spans: Sequence[Span]) -> bool:
        """Returns whether they were taken."""

    def close(self) -> None:
        """Ends what is being sent."""


class Traces:
    """Follows the journal. It is a part that works until it is cancelled."""

    def __init__(
        self,
        store: Store,
        export: Export,
        data: Path,
        *,
        ongoing: Callable[[str], Run | None],
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._ongoing = ongoing
        self._now = now
        self._cursor_file = data / CURSOR
        self._export = export
        self._ended = asyncio.Event()
        self._ended.set()  # what an earlier process stored, and did not tell
        self._is_down = False

    def note_stored(self, stored: Stored) -> None:
        """Looks for ends among what was stored."""
        if any(isinstance(item, Record) and isinstance(item.event, ENDS) for item in stored.items):
            self._ended.set()

    async def run(self) -> None:
        """Tells spans until it is cancelled."""
        try:
            await self._follow()
        except Exception:  # noqa: BLE001 - the task's top: a defect in telling must not end the conductor
            _log.exception("traces_broke", hint="no spans are sent until the next start")
        finally:
            self._export.close()

    async def _follow(self) -> None:
        cursor = await self._begin()
        while True:
            await self._ended.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._ended.clear()
            cursor = await self._tell_after(cursor)

    async def _begin(self) -> int:
        """Returns after which id to go on. The first time nothing of the past is told."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            return int(json.loads(self._cursor_file.read_bytes())["after"])
        last = await _retried(self._store.last_id)
        self._keep(last)
        return last

    async def _tell_after(self, cursor: int) -> int:
        """Tells everything after an id; returns up to where."""
        while True:
            page = await _retried(partial(self._store.feed, cursor))
            for run, events in self._ends_of(page).items():
                await self._tell(await self._spans(run, events))
            if page.last_id == cursor:
                return cursor
            cursor = page.last_id
            self._keep(cursor)

    def _ends_of(self, page: FeedPage) -> Mapping[str, Sequence[Event]]:
        """Returns what ended, by run, without what is too old to be of use."""
        oldest, ended, too_old = self._now() - MAX_AGE_SECONDS, dict[str, list[Event]](), 0
        for entry in page.entries:
            if entry.stored is None or not isinstance(entry.stored.event, ENDS):
                continue
            if entry.stored.time < oldest:
                too_old += 1
            else:
                ended.setdefault(entry.run, []).append(entry.stored.event)
        if too_old:
            _log.warning("spans_left_out", count=too_old, why="they ended more than a day ago")
        return ended

    async def _spans(self, name: str, ended: Sequence[Event]) -> list[Span]:
        run = self._ongoing(name)
        if run is None:
            with suppress(NotFoundError, DatabaseDamagedError):  # deleted meanwhile, or not to be read any more
                events = await _retried(partial(self._store.events, name))
                run = await asyncio.to_thread(_fold_traced, name, events)
        if run is None or run.trace is None or not run.trace.is_sampled:
            return []
        return list(spans_of(run, ended, await self._requests(name, ended)))

    async def _requests(self, run: str, ended: Sequence[Event]) -> Mapping[str, Sequence[ModelRequest]]:
        """Returns the requests to models of the attempts that ended."""
        found: dict[str, Sequence[ModelRequest]] = {}
        for event in ended:
            if isinstance(event, AttemptEnded) and event.model_requests:
                with suppress(NotFoundError, DatabaseDamagedError, LookupError, ValueError, TypeError):
                    data = await _retried(partial(self._store.blob, run, event.model_requests))
                    found[event.attempt] = read_requests(data)
        return found

    async def _tell(self, spans: Sequence[Span]) -> None:
        for begin in range(0, len(spans), MAX_SPANS_AT_ONCE):
            pause = FIRST_PAUSE_SECONDS
            while not await self._export.send(spans[begin : begin + MAX_SPANS_AT_ONCE]):
                self._note_down(is_down=True)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            self._note_down(is_down=False)

    def _note_down(self, *, is_down: bool) -> None:
        if is_down is not self._is_down:
            self._is_down = is_down
            _log.warning("traces_not_taken") if is_down else _log.info("traces_taken_again")

    def _keep(self, cursor: int) -> None:
        """Keeps how far was told. It need not survive a power cut: spans that are told twice have the same ids."""
        new = self._cursor_file.with_suffix(".new")
        try:
            new.write_text(json.dumps({"after": cursor}))
            os.replace(new, self._cursor_file)  # noqa: PTH105
        except OSError as error:
            _log.warning("traces_cursor_not_kept", error=str(error))


def _fold_traced(name: str, events: Sequence[StoredEvent]) -> Run | None:
    """Folds a run that has a trace."""
    created = events[0].event if events else None
    return fold_stored(name, events) if isinstance(created, RunCreated) and created.trace is not None else None


async def _retried(read: Callable[[], Awaitable[Result]]) -> Result:
    """Returns what the store reads, as soon as it can."""
    while True:
        try:
            return await read()
        except StorageError:
            await asyncio.sleep(FIRST_PAUSE_SECONDS)
