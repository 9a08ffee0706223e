"""Measures one conductor under rising load, on one engine: runs, agents, watchers and tokens a second, each until something gives.

One conductor serves as a process of its own. A host is played, since real agents would take the processors that are measured. Each
curve begins with a conductor and a database of its own, and raises one number. At each level it measures how late words come to a
watcher, from the instant at which each was due, and how long a call takes that needs a decision and its commit. A level that is not
carried is measured twice, and then the curve ends. Its cause is read off what was used up, by the players of the load, too.
"""

import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

from benchmarks.engines import POSTGRESQL, SQLITE, engines
from benchmarks.load.lateness import playing
from benchmarks.load.levels import HEAD, Level, Times, measure_level
from benchmarks.load.scene import Scene, scene
from benchmarks.measuring import BrokenPromiseError, Report, Table, must

# The page of metrics is at most a second old: what is before and after is read a second apart.
TIMES, SHORT_TIMES = Times(1.2, 3.0, 0.5), Times(0.2, 0.4, 0.3)
INTERVAL = 0.05  # of agents that speak as models do: 20 tokens a second
AGENTS_OF_RUN, BUSY_AGENTS, FEW_AGENTS = 20, 5, 4
SLOW_INTERVAL = 2.0
FRAME_SECONDS = 0.01

# Brings the load to a level; returns how many words a second the measured watchers are due.
Raise = Callable[[Scene, int], Awaitable[float]]


@dataclass(slots=True)
class Curve:
    """A number that is raised."""

    title: str
    unit: str
    levels: tuple[int, ...]
    raise_to: Raise
    most_seconds: float = 44.0


class Runs:
    """Raises the number of runs; beside a busy one, each has an agent that says a word every 2 s."""

    def __init__(self) -> None:
        self._there = 0

    async def __call__(self, scene: Scene, load: int) -> float:
        if not self._there:
            await _watch_busy(scene)
        await scene.speak(1, SLOW_INTERVAL, runs=load - self._there)
        self._there = load
        return BUSY_AGENTS / INTERVAL


class Agents:
    """Raises the number of agents; each run has 20 of them, and a watcher."""

    def __init__(self) -> None:
        self._there = 0

    async def __call__(self, scene: Scene, load: int) -> float:
        while self._there < load:
            agents = min(AGENTS_OF_RUN, load - self._there)
            (run,) = await scene.speak(agents, INTERVAL)
            scene.ears.watch(run)
            self._there += agents
        return load / INTERVAL


class Watchers:
    """Raises the number of watchers of a busy run."""

    def __init__(self) -> None:
        self._run, self._there = "", 1

    async def __call__(self, scene: Scene, load: int) -> float:
        self._run = self._run or await _watch_busy(scene)
        if load > self._there:
            await scene.add_player("benchmarks.load.crowd", scene.address, self._run, str(load - self._there))
        self._there = load
        return BUSY_AGENTS / INTERVAL


class Tokens:
    """Raises the tokens a second of four agents."""

    def __init__(self) -> None:
        self._run = ""

    async def __call__(self, scene: Scene, load: int) -> float:
        if self._run:
            await scene.cancel(self._run, FEW_AGENTS)
        (self._run,) = await scene.speak(FEW_AGENTS, FRAME_SECONDS, round(load * FRAME_SECONDS / FEW_AGENTS))
        scene.ears.watch(self._run)
        return FEW_AGENTS / FRAME_SECONDS


async def _watch_busy(scene: Scene) -> str:
    (run,) = await scene.speak(BUSY_AGENTS, INTERVAL)
    scene.ears.watch(run)
    return run


def curves() -> tuple[Curve, ...]:
    return (
        Curve("Runs at once", "runs", (20, 500, 1000, 1500, 2000, 3000), Runs(), 60.0),
        Curve("Agents that say 20 tokens a second", "agents", (20, 80, 160, 240, 320, 400, 480, 640), Agents()),
        Curve("Watchers of a run of 100 tokens a second", "watchers", (5, 50, 100, 150, 200, 300, 400), Watchers()),
        Curve("Tokens a second of 4 agents", "tokens/s", tuple(100_000 * 2**step for step in range(8)), Tokens()),
    )


async def measure(report: Report) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as name, engines() as databases:
        folder, engine = Path(name), POSTGRESQL if report.is_of_engines else SQLITE
        async with playing("benchmarks.load.speaking_host", f"{folder}/host.sock") as host:
            if report.is_short:
                async with scene(databases.url(engine), folder, host) as there:
                    for curve in curves():
                        _tell(report, curve, engine, *await _try(curve, there))
                return
            for curve in curves():
                async with scene(databases.url(engine), folder, host) as there:
                    _tell(report, curve, engine, *await _raise(curve, there))


def _tell(report: Report, curve: Curve, engine: str, levels: list[Level], gave: str) -> None:
    must(bool(levels), f"{curve.title}: one level is measured: {gave}")
    report.tables.append(Table(f"{curve.title}, {engine}", (curve.unit, *HEAD), tuple(one.cells() for one in levels)))
    report.remark(f"{curve.title}, {engine}: {gave}")
    carried = [one for one in levels if not one.trouble] or levels[:1]
    report.add(f"{curve.title}: carried, {engine}", curve.unit, [carried[-1].load])
    report.add(f"{curve.title}: a word's way at p99 there, {engine}", "ms", [min(carried[-1].p99, 1e6)])
    report.add(f"{curve.title}: a decision there, {engine}", "ms", carried[-1].decided or [1e6])


async def _try(curve: Curve, there: Scene) -> tuple[list[Level], str]:
    """Returns the first level alone."""
    load = curve.levels[0]
    return [await measure_level(there, load, await curve.raise_to(there, load), SHORT_TIMES)], "only tried"


async def _raise(curve: Curve, there: Scene) -> tuple[list[Level], str]:
    """Returns the levels, and what gave at the last one."""
    levels: list[Level] = []
    until, told = time.monotonic() + curve.most_seconds, "nothing gave up to"
    for load in curve.levels:
        if time.monotonic() > until:
            return levels, f"{told} {levels[-1].load:,} {curve.unit}, when its {curve.most_seconds:g} s were over"
        try:
            words = await curve.raise_to(there, load)
            level = await measure_level(there, load, words, TIMES)
            if level.trouble and not level.error:
                level = await measure_level(there, load, words, TIMES)
        except (BrokenPromiseError, OSError, grpc.aio.AioRpcError) as error:
            return levels, f"{load:,} {curve.unit} were not reached: {str(error) or type(error).__name__}"
        levels.append(level)
        if level.trouble:
            return levels, f"at {load:,} {curve.unit} {level.trouble}; used up: {level.cause}"
    return levels, f"{told} {levels[-1].load:,} {curve.unit}"
