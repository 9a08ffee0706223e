"""One world from its seed: load, trouble, calm, judgement.

Runs are asked for, watched and cancelled without pause, while services die at their points and are started again at once, networks
break, and shims and daemons stand still or die. When every planned death has come, everything is let be; every run must end, and
then it is judged what was stored, told and left.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import grpc

from tests.chaos import evidence
from tests.chaos.evidence import Reference, Story
from tests.chaos.figures import Figures
from tests.chaos.judgement import Case, collect, find_faults
from tests.chaos.readiness import wait_until_ready
from tests.chaos.rig import Rig, describe
from tests.chaos.scenarios import SCENARIOS, Caller, Scenario, make_workspace
from tests.chaos.schedule import HOSTS, Act, shared
from tests.chaos.trouble import Trouble
from tests.chaos.watchers import PATIENCE_SECONDS, Watcher, cancel, create, decide_all, open_channel
from tests.kit import histories
from tests.kit.waiting import until

WATCHERS_OF_A_RUN = 2
CALLERS = (Caller.FICKLE, Caller.HASTY, Caller.PATIENT, Caller.HASTY, Caller.FICKLE)  # the others ask for anything
CALM_SECONDS = 240.0
READY_SECONDS = 60.0
REST_SECONDS = 15.0
LAST_LINES = 30


@dataclass(frozen=True, slots=True)
class Verdict:
    """Holds what is wrong, which should be nothing, and the figures. `lacks`: what this machine did not allow."""

    seed: int
    faults: tuple[str, ...]
    figures: Figures
    lacks: tuple[str, ...]
    reference: Reference


@dataclass(frozen=True, slots=True)
class Plan:
    """Says how much is to happen in a world. It goes on until there were enough of both."""

    seed: int
    acts: tuple[Act, ...]
    disconnects: int
    twin: str = ""
    callers: int = 7
    scenarios: tuple[Scenario, ...] = SCENARIOS
    hosts: tuple[str, ...] = HOSTS
    with_cables: bool = True
    with_tls: bool = False
    is_shared: bool = False  # two conductors on one PostgreSQL
    with_full_disks: bool = False  # of that
    reference: Reference | None = None  # how it all comes out undisturbed, where that is known


async def live(plan: Plan, *, keep: bool = False) -> Verdict:
    """Lives one world, and judges it."""
    began = time.monotonic()
    with _folder() as (folder, kept):
        made = Rig(
            folder,
            plan.twin,
            plan.seed,
            plan.with_cables,
            plan.with_tls,
            hosts=plan.hosts,
            is_shared=plan.is_shared,
            with_full_disks=plan.with_full_disks,
        )
        async with _settled(made) as rig:
            world = World(plan, rig, make_workspace(folder / "workspace"))
            try:
                reference = plan.reference or await world.undisturbed()
                faults = await world.live(reference)
            except BaseException:
                if keep:
                    kept.set()
                raise
            world.figures.seconds = time.monotonic() - began
            if faults and keep:
                kept.set()
                faults.append(f"everything of it is kept in {folder}")
    return Verdict(plan.seed, tuple(faults), world.figures, rig.lacks, reference)


class World:
    """One world at work."""

    def __init__(self, plan: Plan, rig: Rig, workspace: Path) -> None:
        self.plan = plan
        self.rig = rig
        self.workspace = workspace
        self.figures = Figures()
        self.stories: dict[str, Story] = {}
        self.watchers: list[Watcher] = []
        self.trouble = Trouble(rig, plan.seed, self.figures)
        self.calm = asyncio.Event()
        self._faults: list[str] = []

    async def live(self, reference: Reference) -> list[str]:
        """Everything, in order; gives what is wrong."""
        try:
            await self._trouble()
        except* grpc.aio.AioRpcError as unanswered:
            ended = ", ".join(name for name, one in self.rig.everything.items() if not one.is_alive) or "no service"
            self._faults.append(
                f"a caller heard nothing for {PATIENCE_SECONDS:.0f} s: {_first(unanswered)}; {ended} had ended"
            )
        if self._faults and not self.calm.is_set():
            return self._faults
        try:
            await self._judge(reference)
        except grpc.aio.AioRpcError as error:
            said = "\n".join((self.rig.folder / "conductor.log").read_text(errors="replace").splitlines()[-LAST_LINES:])
            self._faults.append(
                f"a service did not answer when all was calm: {error.details()}; the conductor's last words:\n{said}"
            )
        return self._faults

    async def _trouble(self) -> None:
        """Makes trouble while callers ask, until all planned has come; then waits for the end of every run."""
        async with asyncio.TaskGroup() as callers:
            calling = [callers.create_task(self._call(number)) for number in range(self.plan.callers)]
            deciding = callers.create_task(decide_all(self.rig.front_address, Random(f"people {self.plan.seed}")))
            await self.trouble.make(
                shared(self.plan.acts) if self.plan.is_shared else self.plan.acts, self.plan.disconnects
            )
            reviving = callers.create_task(self.trouble.keep_reviving())  # one may start while its network is still bad
            self.calm.set()
            _, pending = await asyncio.wait(calling, timeout=CALM_SECONDS)
            where = [_place(task) for task in pending]
            for task in (*pending, deciding, reviving):
                task.cancel()
        if pending:
            unfinished = [watcher.run for watcher in self.watchers if not watcher.heard_end]
            self._faults.append(
                f"{sorted(set(unfinished))} did not end within {CALM_SECONDS:.0f} s of calm; callers wait at {where}"
            )

    async def undisturbed(self) -> Reference:
        """Returns how every scenario comes out when nothing goes wrong."""
        random = Random(f"undisturbed {self.plan.seed}")
        address = self.rig.address
        runs = {scenario: await self._ask_for(address, scenario, random) for scenario in self.plan.scenarios}
        found: dict[str, tuple[histories.Outcome, dict[str, dict[str, bytes]]]] = {}
        async with open_channel(address) as channel, asyncio.TaskGroup() as tasks:
            aside = [tasks.create_task(part) for part in (decide_all(address, random), self.trouble.keep_reviving())]
            for scenario, run in runs.items():
                story = self.stories[run]
                if scenario.to_be_cancelled:
                    while scenario.calls and not await evidence.sub_stories(channel, story):
                        await asyncio.sleep(0.1)
                    await cancel(address, run, _identity(random))
                await Watcher("undisturbed", run).follow(address)
                for one in (story, *await evidence.sub_stories(channel, story)):
                    told = await evidence.ask(channel, one, self.workspace)
                    said = evidence.spoken(evidence.stored_history(self.rig, one.run))
                    by_step = {attempt.split("-")[1]: text for attempt, text in said.items()}
                    found[one.scenario.name] = told.outcome, by_step
            for task in aside:
                task.cancel()
        return found

    async def _ask_for(self, address: str, scenario: Scenario, random: Random) -> str:
        run = await create(address, scenario.request(self.workspace, _identity(random)))
        self.stories[run] = Story(run, scenario)
        return run

    async def _call(self, number: int) -> None:
        """A caller: asks for one run after the other, and sees each of them to its end."""
        random = Random(f"calls {self.plan.seed} {number}")
        mine = self._scenarios_of(number)
        while not self.calm.is_set():
            scenario = random.choice(mine)
            run = await self._ask_for(self.rig.front_address, scenario, random)
            await self._see_to_its_end(run, scenario, random)

    def _scenarios_of(self, number: int) -> list[Scenario]:
        """Those that a caller asks for: those meant for it, or those meant for any caller."""
        meant = CALLERS[number] if number < len(CALLERS) else Caller.ANY
        by_caller = {caller: [one for one in self.plan.scenarios if one.caller is caller] for caller in Caller}
        return by_caller[meant] or by_caller[Caller.ANY]

    async def _see_to_its_end(self, run: str, scenario: Scenario, random: Random) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(WATCHERS_OF_A_RUN):
                pauses = {random.randint(1, 60): random.uniform(0.5, 3.0)} if number else {}
                watcher = Watcher(f"{number}", run, pauses)
                self.watchers.append(watcher)
                tasks.create_task(watcher.follow(self.rig.front_address))
            if scenario.to_be_cancelled:
                await asyncio.sleep(random.uniform(0.5, 3.0))
                await cancel(self.rig.front_address, run, _identity(random))

    async def _judge(self, reference: Reference) -> None:
        """Looks at the services while they serve, stops them, and judges what they leave."""
        rig, faults = self.rig, self._faults
        settled = {run: story for run, story in self.stories.items() if self._is_settled(run)}
        async with open_channel(rig.address) as channel:
            for story in tuple(settled.values()):
                below = {one.run: one for one in await evidence.sub_stories(channel, story)}
                settled |= below
                self.stories |= below
            told = {run: await evidence.ask(channel, story, self.workspace) for run, story in settled.items()}
            if strangers := await evidence.all_runs(channel) - self.stories.keys():
                faults.append(f"{strangers} are there, and no caller asked for them, or one asked for another")
            if taken := await evidence.slots_taken(channel):
                faults.append(f"the conductor says that {taken} slots are taken, and nothing runs")
        for host, link in rig.links.items():
            async with open_channel(link.address) as channel:
                if taken := await evidence.slots_of(channel):
                    faults.append(f"host {host} says that {taken} of its slots are taken, and nothing runs")
        with contextlib.suppress(TimeoutError):  # what is judged then is the same condition
            await until(lambda: not rig.kept_folders(), REST_SECONDS)
        faults += [f"{folder} is kept, and everything was acknowledged" for folder in rig.kept_folders()]
        await rig.stop()
        faults += rig.wrong_ends()
        with contextlib.suppress(TimeoutError):
            await until(lambda: not rig.left_over(), REST_SECONDS)
        faults += [f"process {describe(pid)} is left" for pid in rig.left_over()]
        watchers = tuple(self.watchers)
        case = Case(rig, settled, told, watchers, reference, frozenset(self.trouble.killed))
        found = collect(case)
        faults += find_faults(case, found)
        self._count(found)

    def _is_settled(self, run: str) -> bool:
        return all(watcher.heard_end for watcher in self.watchers if watcher.run == run)

    def _count(self, found: histories.Evidence) -> None:
        figures = self.figures
        figures.points.update(str(deed["point"]) for deed in self.rig.burnt())
        figures.runs = len(self.stories)
        figures.attempts = sum(len(host.lifetimes) for host in found.hosts)
        figures.visits = sum(len(watcher.visits) for watcher in self.watchers)
        figures.refused = sum(
            isinstance(entry, histories.Fact) and entry.end == "refused" for run in found.runs for entry in run.entries
        )


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error.details()) if isinstance(error, grpc.aio.AioRpcError) else repr(error)


def _identity(random: Random) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def _place(task: "asyncio.Task[None]") -> str:
    """Returns where a task waits, down through what it awaits."""
    place: list[str] = []
    awaited: object = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None)
        if frame is not None:
            place.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        awaited = getattr(awaited, "cr_await", None)
    return " > ".join(place)


@contextlib.contextmanager
def _folder() -> Iterator[tuple[Path, asyncio.Event]]:
    """A folder that goes in the end, unless the event is set."""
    folder, kept = Path(tempfile.mkdtemp(prefix="chaos-")), asyncio.Event()
    try:
        yield folder, kept
    finally:
        if not kept.is_set():
            for path, _, _ in os.walk(folder):
                Path(path).chmod(0o700)  # snapshots are sealed, also to their owner
            shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _settled(rig: Rig) -> AsyncIterator[Rig]:
    """A rig whose services serve."""
    async with rig:
        rig.start()
        for address in rig.addresses.values():
            async with open_channel(address) as channel:
                await wait_until_ready(channel, READY_SECONDS)
        yield rig
