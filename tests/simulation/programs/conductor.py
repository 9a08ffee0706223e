"""A conductor's process in a simulated world: the real recovery, engine, dispatcher and links.

What is simulated is below them: the loop, the store, the network; and beside them the workers. What the core decides is judged on
its way (see `invariants`): each decision before it is stored, each state when the engine goes on from it, each command when it is
sent.
"""

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from agenthost.v1 import execution_service_pb2 as pb
from conductor import ring
from conductor.clock import Reading
from conductor.core.folded.run import Run
from conductor.core.model.commands import CancelExecution, Command, Decision, Record
from conductor.core.model.conductor_state import ConductorState
from conductor.core.model.events.run_events import StepWaits
from conductor.core.model.inputs import (
    AgentFinished,
    AgentRefusedInput,
    AgentTurnEnded,
    ExecutionLost,
    ExecutionRefused,
    ExecutionReported,
    Input,
)
from conductor.core.model.work import Work
from conductor.engine import recovery
from conductor.engine.inbox import Note
from tests.simulation.ground.client import Channel
from tests.simulation.ground.process import Process
from tests.simulation.ground.server import Server
from tests.simulation.judges.invariants import check_command, check_decision, check_launches, check_pool, check_state
from tests.simulation.judges.registry import check_hosts
from tests.simulation.judges.violation import Violation
from tests.simulation.programs.storage import Storage
from tests.simulation.programs.workers import answer

if TYPE_CHECKING:
    from tests.simulation.ground.network import Call
    from tests.simulation.programs.machine import Machine
    from tests.simulation.world import World

SILENCE_SECONDS = 6.0
IDLE_TURNS, IDLE_SECONDS = 50, 0.5


class Conductor:
    """One start of the conductor."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.rng = Random(f"conductor {world.seed} {world.store.epoch + 1}")
        self.storage = Storage(world, self.rng)
        self.epoch = self.storage.epoch
        self.process = Process(world.agenda, f"conductor {self.epoch}", self.rng, booted=world.boots[-1])
        self.ring: JudgedRing | None = None
        self.process.start(self._work())

    @property
    def is_at_rest(self) -> bool:
        """Tells whether it attends to no attempt."""
        return self.ring is not None and not any(link.attempts for link in self.ring.executions.values())

    def ask(self, requests: Sequence[Any]) -> None:
        if self.ring is not None:
            for request in requests:
                asking = self.world.callers.submit(self.ring.engine, request, self.world.store.runs)
                self.process.do(lambda asking=asking: self.process.start(asking))  # type: ignore[misc]

    async def _work(self) -> None:
        world, storage = self.world, self.storage
        clock = await recovery.read_time(storage, self._read_clocks, self.process.time)
        storage.clock_ahead = clock.now() - world.agenda.now
        state = await recovery.fold_state(storage, clock.now(), world.limits, world.configured)
        ground: Any = ring.Ground(storage, clock, None, self._open_channel, SILENCE_SECONDS)  # type: ignore[arg-type]
        self.ring = JudgedRing(self, ground, state)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.ring.engine.run())
            tasks.create_task(self.ring.links.run())

    def _read_clocks(self) -> Reading:
        world = self.world
        wall = 1000.0 + world.agenda.now + world.clock_offset
        return Reading(wall, self.process.time(), str(len(world.boots)))

    def _open_channel(self, _: str, address: str) -> Any:
        return self._channel(self.world.machines[address.partition("@")[0]], address)

    def _channel(self, machine: "Machine", address: str) -> Channel:
        def find() -> Server | None:
            daemon = machine.daemon
            is_reached = address == machine.address and self.world.network.reaches(machine.name)
            return daemon.server if daemon is not None and is_reached else None

        def passing(method: str, data: bytes, call: "Call") -> None:
            if method.endswith("/Execute"):
                self._pass_request(pb.ExecuteRequest.FromString(data), machine, call)

        return Channel(self.world.network, self.process, find, passing)

    def _pass_request(self, request: pb.ExecuteRequest, machine: "Machine", call: "Call") -> None:
        match request.WhichOneof("frame"):
            case "start":
                told = f"{request.start.execution} {machine.name}"
                self.world.seen["start repeated"] += told in self.world.started
                self.world.started.add(told)
                self.world.seen["stream begins with Start"] += 1
                self.world.pass_point("start told", machine, call)
            case "resume":
                self.world.seen["stream begins with Resume"] += 1
            case "cancel":
                self.world.pass_point("cancel told", machine, call)
            case "input":
                self.world.seen["input told"] += 1
                self.world.pass_point("input told", machine, call)
            case "close":
                self.world.pass_point("close told", machine, call)
            case "ack" if call.has_told_end:
                self.world.pass_point("end acknowledged", machine)


class JudgedRing(ring.Ring):
    """The ring, with a judge at each of its stations."""

    def __init__(self, conductor: Conductor, ground: ring.Ground, state: ConductorState) -> None:
        self._conductor = conductor
        self._world = conductor.world
        self._told: set[str] = set()
        self._idle = 0
        self._called_at = 0.0
        self._decided_at: float | None = None
        super().__init__(ground, state, self._make_workers, self._advance)
        self._offer, self.engine.offer = self.engine.offer, self._offer_with_trouble  # type: ignore[method-assign]

    def dispatch(self, command: Command) -> None:
        if not self._conductor.storage.is_deposed:
            check_command(command, self._world.store)
        if isinstance(command, CancelExecution):
            self._told.add(command.attempt)
        super().dispatch(command)

    async def _offer_with_trouble(self, report: ExecutionReported) -> None:
        """Between the streams and the engine nothing is lost or doubled, but the core would bear it."""
        world, rng = self._world, self._conductor.rng
        # After these nothing more may come, so that a gap would never show.
        is_last = any(isinstance(one, AgentFinished | AgentTurnEnded | AgentRefusedInput) for one in report.reports)
        is_dropped = rng.random() < world.drops and not is_last
        if is_dropped:
            world.seen["report dropped"] += 1
        else:
            await self._offer(report)
        # What was dropped comes again by a stream only: otherwise it could hide the end of an execution that was damaged.
        if rng.random() < world.repeats and not is_dropped:
            world.seen["report repeated late"] += 1
            process = self._conductor.process
            process.call_later(rng.random() * 2, lambda: process.start(self._offer(report)))

    def _make_workers(self, note: Callable[[Note], None], _: Callable[[str], Run | None]) -> "Workers":
        return Workers(self._conductor, note)

    def _advance(self, state: ConductorState, inputs: Sequence[Input], now: float) -> tuple[Decision, ConductorState]:
        world = self._world
        if not self._conductor.storage.is_deposed and self._decided_at is not None:
            check_state(state, world.store, self._decided_at)
            check_pool(world.store, world.pool_slots)
            self._check_told(state)
        self._decided_at = now
        for one in inputs:
            if isinstance(one, ExecutionLost | ExecutionRefused):
                world.seen[type(one).__name__] += 1
        world.seen["input"] += len(inputs)
        decision, after = ring.advance(state, inputs, now)
        if self._conductor.rng.random() < 0.02 and ring.advance(state, inputs, now) != (decision, after):
            raise Violation("the same inputs in the same state gave two decisions")
        check_decision(decision, world.limits)
        if not self._conductor.storage.is_deposed:
            check_launches(decision, world.store, now)
            check_hosts(inputs, decision, world.store, world.configured)
        for record in decision.to_store:
            if isinstance(record, Record) and isinstance(record.event, StepWaits):
                world.seen[f"step waits: {record.event.kind}"] += 1
        self._check_idle(is_busy=bool(inputs or decision.to_store or decision.to_send))
        return decision, after

    def _check_idle(self, *, is_busy: bool) -> None:
        """Requests that are known wake the engine and not the core: they are seldom."""
        is_soon = self._world.agenda.now - self._called_at < IDLE_SECONDS
        self._called_at = self._world.agenda.now
        self._idle = self._idle + 1 if is_soon and not is_busy else 0
        if self._idle > IDLE_TURNS:
            raise Violation("the core wants to be called again and again, for nothing")

    def _check_told(self, state: ConductorState) -> None:
        """Every agent of a run that stops was told to end, by this process (B7, B8)."""
        for name, one in state.ongoing.items():
            if one.run.stop is not None and not one.dirty:
                for attempt in one.tracks:
                    if attempt not in self._told:
                        raise Violation(f"run {name} stops, and {attempt} was not told to end")


class Workers:
    """Answers what is asked of the evaluator; the same question twice, now and then."""

    def __init__(self, conductor: Conductor, note: Callable[[Note], None]) -> None:
        self._conductor = conductor
        self._note = note

    def ask(self, work: Work) -> None:
        process, rng = self._conductor.process, self._conductor.rng
        world = self._conductor.world
        finished = answer(world.seed, work, world.store.runs.get(work.run))
        process.call_later(rng.random() * 0.1, self._note, finished)
        if rng.random() < 0.05:
            process.call_later(rng.random() * 0.3, self._note, finished)
