"""A conductor's process in a simulated world: its core, with the order of acts of engine, links and attendances.

Decisions are the core's, as in the daemon beside it: `advance` and `recover`, `Conversation` for each attempt's streams, the
real mailbox and the real inbox. What is played here is the waiting between them.
"""

from collections.abc import Generator
from random import Random
from typing import TYPE_CHECKING

from conductor.core.conversation import EPOCH_SUPERSEDED, ExecutionCommand, Place, StreamEnd
from conductor.core.model.attempt import attempt_owner
from conductor.core.model.commands import (
    AckExecution,
    CancelExecution,
    Command,
    Evaluate,
    ResumeExecution,
    StartExecution,
)
from conductor.core.model.inputs import (
    AgentFinished,
    ExecutionReported,
    HostAgent,
    HostReported,
    Input,
    RequestCancel,
    RequestRun,
)
from conductor.engine.inbox import Inbox, Note
from tests.simulation.agenda import Bell, Process, Task, Wait
from tests.simulation.attendance import Attendance
from tests.simulation.invariants import check_command, check_decision, check_state
from tests.simulation.messages import (
    Ack,
    Cancel,
    HostState,
    Listed,
    ListExecutions,
    Request,
    Resume,
    Start,
    WatchHost,
    report_of,
)
from tests.simulation.network import Call, End
from tests.simulation.violation import Violation
from tests.simulation.workers import answer

if TYPE_CHECKING:
    from agenthost.core.output.frame import Frame
    from tests.simulation.machine import Machine
    from tests.simulation.world import World

CONDUCTOR = "c1"
SILENCE_SECONDS = 6.0
LATE_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
IDLE_TURNS = 50


class Conductor(Process):
    """One start of the conductor."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.agenda)
        self.world = world
        self.store = world.store
        self.epoch = world.store.begin_epoch()
        self.rng = Random(f"conductor {world.seed} {self.epoch}")
        self.clock_offset = world.begin_clock()
        self.inbox = Inbox()
        self.filled = Bell()
        self.is_deposed = False  # another one owns the store
        self.connected: set[str] = set()
        self.condemned: set[str] = set()
        self.attendances: dict[str, Attendance] = {}
        self.told: set[str] = set()
        self.idle = 0
        self.state = world.subject.restore(self.store.unfinished(), self.store.cursors, self.now(), world.limits)
        self.start(self._work())
        for machine in world.machines.values():
            self.start(self._follow(machine))

    def now(self) -> float:
        return round(self.agenda.now + self.clock_offset, 6)

    def note(self, told: Note) -> None:
        self.inbox.note(told)
        self.filled.ring()

    def ask(self, requests: list[Input]) -> None:
        for request in requests:
            if isinstance(request, RequestRun | RequestCancel):
                self.inbox.request(request)
        self.filled.ring()

    def offer(self, report: ExecutionReported) -> None:
        """Slots never fill up here, so that the offer is taken at once."""
        offering = self.inbox.offer(report)
        try:
            offering.send(None)
        except StopIteration:
            self.filled.ring()
        else:
            raise RuntimeError("a slot of the inbox is full")

    # The engine.

    def _work(self) -> Task:
        for command in self.world.subject.recover(self.state):
            self._dispatch(command)
        self._check_told()
        yield from self._turn()
        while True:
            wake_at = self.state.wake_at
            while self.inbox.is_empty and (wake_at is None or wake_at > self.now()):
                if wake_at is not None:
                    self.after(max(wake_at - self.now(), 1e-6), self.filled.ring)
                yield self.filled
            yield from self._turn()

    def _turn(self) -> Task:
        taken = self.inbox.take()
        inputs = self.world.callers.ask_store(list(taken), self.store, self.state.backlog)
        self.world.seen["input"] += len(inputs)
        now = self.now()
        decision, after = self.world.subject.advance(self.state, inputs, now)
        if self.rng.random() < 0.02 and self.world.subject.advance(self.state, inputs, now) != (decision, after):
            raise Violation("the same inputs in the same state gave two decisions")
        check_decision(decision, self.world.limits)
        if decision.durable:
            self.world.pass_point("decided, not stored")
        if decision.to_store or decision.blobs or decision.cursors:
            yield self.rng.random() * self.world.commit_seconds * (1.0 if decision.durable else 0.1)
            while self.is_deposed or self.world.store_is_full:
                self.world.seen["commit failed"] += 1
                yield 0.5
            self.world.check_times(decision, now, self.clock_offset)
            self.store.append(decision, now)
        self.state = after
        if not self.is_deposed:
            check_state(after, self.store, now)
        self._check_idle(is_busy=bool(taken or decision.to_store or decision.to_send))
        self.world.tell_stored()
        if decision.to_send:
            self.world.pass_point("stored, not sent")
        yield self.rng.random() * 0.002
        for reply in decision.replies:
            self.world.callers.hear(reply)
        for command in decision.to_send:
            self._dispatch(command)
            if self.rng.random() < 0.05:
                yield 0.001
        self._check_told()

    def _check_idle(self, *, is_busy: bool) -> None:
        self.idle = 0 if is_busy else self.idle + 1
        if self.idle > IDLE_TURNS:
            raise Violation("the core wants to be called again and again, for nothing")

    def _check_told(self) -> None:
        """Every agent of a run that stops was told to end, by this process (B7, B8)."""
        for name, one in self.state.ongoing.items():
            if one.run.stop is not None and not one.dirty:
                for attempt in one.tracks:
                    if attempt not in self.told:
                        raise Violation(f"run {name} stops, and {attempt} was not told to end")

    def _dispatch(self, command: Command) -> None:
        if not self.is_deposed:
            check_command(command, self.store)
        match command:
            case Evaluate(work=work):
                finished = answer(self.world.seed, work)
                self.after(self.rng.random() * 0.1, lambda: self.note(finished))
                if self.rng.random() < 0.05:
                    self.after(self.rng.random() * 0.3, lambda: self.note(finished))
            case StartExecution():
                self._attended(command.start.execution, command.host).put(command)
            case AckExecution() | CancelExecution() | ResumeExecution():
                if isinstance(command, CancelExecution):
                    self.told.add(command.attempt)
                if command.host or command.attempt in self.attendances:
                    self._attended(command.attempt, command.host).put(command)

    # Hosts.

    def _follow(self, machine: "Machine") -> Task:
        while machine.name not in self.condemned:
            yield FIRST_PAUSE_SECONDS + self.rng.random()
            daemon = self._reached(machine)
            if daemon is None:
                continue
            call = self.world.network.call(self, daemon)
            ended, heard = Bell(), [self.agenda.now]

            def hear(state: object, heard: list[float] = heard) -> None:
                heard[0] = self.agenda.now
                if isinstance(state, HostState):
                    self._hear_host(machine, state)

            call.on_response = hear
            call.on_end = lambda _, ended=ended: ended.ring()  # type: ignore[misc]
            call.request(Request(CONDUCTOR, self.epoch, WatchHost()))
            daemon.do(lambda call=call, daemon=daemon: daemon.serve(call))  # type: ignore[misc]
            while not call.has_ended and (left := heard[0] + SILENCE_SECONDS - self.agenda.now) > 0:
                due = self.agenda.now + left
                self.after(left, ended.ring)
                yield ended
                if self.agenda.now - due > LATE_SECONDS:
                    heard[0] = self.agenda.now
            call.cancel()
            self._lose_host(machine)

    def _reached(self, machine: "Machine"):  # type: ignore[no-untyped-def] # noqa: ANN202 — a daemon, if one can be called
        daemon = machine.daemon
        is_there = daemon is not None and daemon.is_serving and self.world.network.reaches(machine.name)
        return daemon if is_there else None

    def _hear_host(self, machine: "Machine", state: HostState) -> None:
        agents = tuple(HostAgent(agent) for agent in state.agents)
        told = HostReported(machine.name, connected=True, draining=state.draining, slots=state.slots, agents=agents)
        self.note(told)
        if machine.name not in self.connected:
            self.connected.add(machine.name)
            self.start(self._compare(machine))

    def _lose_host(self, machine: "Machine") -> None:
        if machine.name in self.connected:
            self.connected.discard(machine.name)
            self.world.seen["host disconnected"] += 1
            self.note(HostReported(machine.name, connected=False))

    def _compare(self, machine: "Machine") -> Task:
        """What runs there and nobody counts on is told to end, and let go when it has (rule 9)."""
        daemon = self._reached(machine)
        if daemon is None:
            return
        call = self.world.network.call(self, daemon)
        answered, listed, ends = Bell(), list[Listed](), list[End | None]()

        def hear(found: object) -> None:
            if isinstance(found, tuple):
                listed.extend(found)

        call.on_response = hear
        call.on_end = lambda end: (ends.append(end), answered.ring())  # type: ignore[func-returns-value]
        call.request(Request(CONDUCTOR, self.epoch, ListExecutions()))
        daemon.do(lambda: daemon.serve(call))
        while not ends:
            yield answered
        if ends[0] is not None and ends[0].reason == EPOCH_SUPERSEDED:
            self.condemn(machine)
            return
        for execution in listed:
            if execution.execution not in self.attendances and not self._is_live(execution.execution):
                self.dismiss(machine, execution)

    def _is_live(self, attempt: str) -> bool:
        one = self.state.ongoing.get(attempt_owner(attempt)[0])
        return one is not None and attempt in one.tracks

    def dismiss(self, machine: "Machine", found: Listed) -> None:
        self.world.seen["execution dismissed"] += 1
        attendance = self._attended(found.execution, machine.name)
        attendance.conversation.is_dismissed = True
        attendance.put(ResumeExecution(machine.name, found.execution, max(found.last_sequence - 1, 0)))
        if not found.has_ended:
            attendance.put(CancelExecution(machine.name, found.execution, "nobody counts on it any more"))

    def condemn(self, machine: "Machine") -> None:
        """A newer start of this conductor drives the host: this one must not."""
        if not self.is_deposed:
            raise Violation(f"{machine.name} takes the conductor's newest start for an old one")
        self.world.seen["older conductor condemned"] += 1
        self.condemned.add(machine.name)

    # Attempts.

    def _attended(self, attempt: str, host: str) -> Attendance:
        found = self.attendances.get(attempt)
        if found is None:
            found = self.attendances[attempt] = Attendance(self.world, attempt, self.world.machines[host])
            self.start(self._attend(found))
        return found

    def _attend(self, one: Attendance) -> Task:
        while (command := one.mailbox.take_now()) is None:
            yield one.bell
        one.conversation.hear(command)
        pause = FIRST_PAUSE_SECONDS
        while one.machine.name not in self.condemned:
            before = one.conversation.received
            if one.conversation.to_start is not None:
                yield from self._ensure_snapshot(one)
            end = yield from self._stream(one)
            if end is not None and end.reason == EPOCH_SUPERSEDED:
                self.condemn(one.machine)
                break
            verdict = one.conversation.judge(None if end is None else StreamEnd(end.code, end.reason, end.message))
            if verdict.news is not None:
                self.world.seen[type(verdict.news).__name__] += 1
                self.note(verdict.news)
            if verdict.is_over:
                break
            pause = FIRST_PAUSE_SECONDS if one.conversation.received > before else min(pause * 2, LONGEST_PAUSE_SECONDS)
            yield pause
        del self.attendances[one.attempt]

    def _ensure_snapshot(self, one: Attendance) -> Task:
        yield self.rng.random() * 0.2
        while (command := one.mailbox.take_now()) is not None:
            one.conversation.hear(command)

    def _stream(self, one: Attendance) -> Generator[Wait, None, End | None]:
        """Speaks one stream to its end; gives the status that it ended with."""
        conversation = one.conversation
        to_start = conversation.to_start
        conversation.begin_stream()
        one.mailbox.rewind()
        while (daemon := self._reached(one.machine)) is None:
            if to_start is not None:  # it does not wait: much may be decided meanwhile
                return End("UNAVAILABLE", "", "the host is away")
            yield 0.3 + self.rng.random() * 0.3
        call = self.world.network.call(self, daemon)
        ends: list[End | None] = []

        def end(how: End | None) -> None:
            ends.append(how)
            one.bell.ring()

        def take(frame: object) -> None:
            if (fault := self._take(one, frame)) is not None:
                call.cancel()
                end(fault)

        call.on_response = take
        call.on_end = end
        opening = Resume(one.attempt, conversation.received) if to_start is None else Start(to_start.start)
        self.world.seen[f"stream begins with {type(opening).__name__}"] += 1
        if to_start is not None:
            self.world.pass_point("start told", one.machine, call)
        call.request(Request(CONDUCTOR, self.epoch, opening))
        daemon.do(lambda: daemon.serve(call))
        while not ends:
            if (command := one.mailbox.take_now()) is None:
                yield one.bell
            elif (fault := self._tell(one, call, command)) is not None:
                call.cancel()
                return fault
        return ends[0]

    def _tell(self, one: Attendance, call: Call, command: ExecutionCommand) -> End | None:
        """Says one thing on a stream; gives an end where the stream is to begin again."""
        match command:
            case CancelExecution(reason=reason):
                one.conversation.hear(command)
                self.world.pass_point("cancel told", one.machine, call)
                call.request(Request(CONDUCTOR, self.epoch, Cancel(reason)))
            case AckExecution(sequence=sequence, finished=finished):
                call.request(Request(CONDUCTOR, self.epoch, Ack(sequence)))
                if finished:
                    self.world.pass_point("end acknowledged", one.machine)
                    call.half_close()
                    one.conversation.release()
            case ResumeExecution():
                one.conversation.hear(command)
                return End("CANCELLED", "", "the stream is to begin again")
            case StartExecution():
                pass  # already told: this stream serves the attempt
        return None

    def _take(self, one: Attendance, frame: "Frame") -> End | None:  # type: ignore[override]
        report = report_of(one.attempt, frame)
        is_end = isinstance(report, AgentFinished)
        match one.conversation.take(frame.sequence, is_end=is_end):
            case Place.TOO_FAR:
                self.world.seen["frame too far"] += 1
                return End("INTERNAL", "", f"frame {frame.sequence} came after {one.conversation.received}")
            case Place.NEXT if one.conversation.is_dismissed:
                one.put(AckExecution("", one.attempt, frame.sequence, finished=is_end))
            case Place.NEXT:
                reported = ExecutionReported(one.attempt, frame.sequence, frame.sequence, (report,))
                if not is_end and self.rng.random() < self.world.drops:
                    self.world.seen["report dropped"] += 1
                else:
                    self.offer(reported)
                if self.rng.random() < self.world.repeats:
                    self.world.seen["report repeated late"] += 1
                    self.after(self.rng.random() * 2, lambda: self.offer(reported))
            case Place.KNOWN:
                self.world.seen["frame repeated"] += 1
        return None
