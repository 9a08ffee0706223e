"""Makes what a conductor of today leaves behind, for the conductors that come after it. See `make`."""

import asyncio
import shutil
import sqlite3
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from conductor.store.sqlite.store import SqliteStore
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running, running_conductor
from tests.kit.waiting import until
from tests.yesterday.archive import keep, pack, unpack
from tests.yesterday.reading import read_end
from tests.yesterday.stories import HOSTLESS, SETTLED, UNFINISHED, Story
from tests.yesterday.telling_host import TellingHost
from tests.yesterday.watchman import Watchman
from tests.yesterday.world import HOSTS, WORKSPACE, last_position, offer, resume

PLACE = Path(WORKSPACE).parent
ACKNOWLEDGED_SECONDS = 1.5
_SAME = ("state", "text", "prompt", "reason", "findings")


async def make(target: Path) -> None:
    """Writes what a conductor left, and how those runs ended: once with every state, once without a host."""
    watchman = Watchman()
    with watchman.standing():
        maker = Maker(watchman)
        await maker.make(target / "conductor", SETTLED, UNFINISHED, HOSTS)
        await maker.make(target / "conductor_without_hosts", (), HOSTLESS, ())


class Maker:
    """Makes one database after the other."""

    def __init__(self, watchman: Watchman) -> None:
        self._watchman = watchman

    async def make(
        self, target: Path, settled: Iterable[Story], unfinished: Iterable[Story], hosts: tuple[str, ...]
    ) -> None:
        """Makes a database with runs that ended and runs that were left; keeps what is answered of them."""
        _clear()
        answers: dict[str, Any] = {
            "settled": await self._settle(settled),
            **await self._leave(unfinished, hosts),
        }
        pack(PLACE / "left", target.with_suffix(".tar.xz"))
        self._watchman.let_go()
        undisturbed = await self._end_undisturbed(unfinished)
        _clear()
        unpack(target.with_suffix(".tar.xz"), PLACE / "again" / "data")
        answers |= await resume(PLACE / "again", answers)
        for story, end in undisturbed.items():
            _compare(story, answers["ends"][answers["unfinished"][story]], end)
        keep(answers, target.with_suffix(".json.xz"))
        shutil.rmtree(PLACE)

    async def _settle(self, stories: Iterable[Story]) -> dict[str, str]:
        runs = {}
        async with self._conductor(TellingHost(), TellingHost()) as running:
            for story in stories:
                runs[story.name] = run = await self._begin(running, story)
                await running.settled(run)
            if deleted := runs.pop("deleted", ""):
                await running.runs.DeleteRun(pb.DeleteRunRequest(name=deleted))
        async with await SqliteStore.open(PLACE / "data") as store:
            while "talkative" in runs and await store.compact(runs["talkative"].removeprefix("runs/")):
                pass
        return runs

    async def _leave(self, stories: Iterable[Story], names: tuple[str, ...]) -> dict[str, Any]:
        """Begins runs, and copies the data folder with them at work."""
        async with self._conductor(*(TellingHost(pauses=True) for _ in names)) as running:
            runs = {}
            for story in stories:
                if story.name.startswith("pause"):  # the last ones, which do not wait for long
                    await asyncio.sleep(0 if "pause_asked_for" in runs else ACKNOWLEDGED_SECONDS)
                runs[story.name] = await self._begin(running, story)
            shutil.copytree(PLACE / "data", PLACE / "left", ignore=shutil.ignore_patterns("*-shm"))
            merge_log(PLACE / "left")
            return {
                "unfinished": runs,
                "histories": {run: await _told(running, run) for run in runs.values()},
                "starts": {name: self._starts(host) for name, host in running.hosts.items()},
            }

    def _starts(self, host: Any) -> dict[str, str]:
        """Returns the Starts of what a host knows when its conductor comes back."""
        known = {}
        for attempt, execution in host.executions.items():
            run, step, _ = attempt.split("-")
            if not execution.is_released and step not in self._watchman.told[run].forgotten:
                known[attempt] = b64encode(execution.start).decode()
        return known

    async def _end_undisturbed(self, stories: Iterable[Story]) -> dict[str, Any]:
        """Returns how the runs end that no caller stops, where nothing is held and nothing is killed."""
        _clear()
        async with self._conductor(TellingHost(), TellingHost()) as running:
            offer(running, "alpha", 64, "scripted", "rare")
            return {
                story.name: await read_end(running, await self._begin(running, replace(story, held=(), until=())))
                for story in stories
                if not story.is_cancelled
            }

    @asynccontextmanager
    async def _conductor(self, *hosts: TellingHost) -> AsyncIterator[Running]:
        async with running_conductor(PLACE, hosts=dict(zip(HOSTS, hosts, strict=False))) as running:
            if hosts:
                offer(running, "alpha", 64, "scripted")
                offer(running, "beta", 1, "narrow")
            yield running

    async def _begin(self, running: Running, story: Story) -> str:
        self._watchman.follow(story)
        run: str = (await running.runs.CreateRun(story.create(str(running.workspace)))).name
        for wanted in story.until:
            await until(lambda wanted=wanted: self._has_happened(running, story, run, wanted))  # type: ignore[misc]
        if story.is_cancelled:
            await running.runs.CancelRun(pb.CancelRunRequest(name=run, reason="enough"))
        return run

    def _has_happened(self, running: Running, story: Story, run: str, wanted: str) -> bool:
        if not wanted.startswith("begun:"):
            return wanted in self._watchman.noted[story.name]
        attempt = f"{run.removeprefix('runs/')}-{wanted.removeprefix('begun:')}-1"
        return any(attempt in host.spawned for host in running.hosts.values())


async def _told(running: Running, run: str) -> list[dict[str, Any]]:
    """Returns what a watcher was told of a run before it was left."""
    last = last_position(PLACE / "left", run.removeprefix("runs/"))
    told = []
    async for message in running.runs.WatchRun(pb.WatchRunRequest(name=run)):
        if message.sequence > last or message.HasField("progress"):
            break
        told.append(MessageToDict(message))
    return told


def _compare(story: str, end: Mapping[str, Any], undisturbed: Mapping[str, Any]) -> None:
    """Raises AssertionError where a run that was left ended otherwise than one that was not."""
    assert (end["state"], end["reason"]) == (undisturbed["state"], undisturbed["reason"]), story
    for step, due in undisturbed["steps"].items():
        came = end["steps"][step]
        assert [came[what] for what in _SAME] == [due[what] for what in _SAME], (story, came, due)


def _clear() -> None:
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()


def merge_log(data: Path) -> None:
    """Makes one file of a database and its log."""
    with closing(sqlite3.connect(data / "conductor.db")) as connection:
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        connection.execute("VACUUM")
