"""A host's daemon in a simulated world: the core of `agenthost`, with the order of its acts as in supervisor, execution and outbox.

Every decision is the real one; what is played here is only what those shells do between decisions, with a pause wherever they wait,
so that a crash, a freeze or another stream can come in between. Where a shell changes the order of its acts, this must follow.
"""

from collections.abc import Generator
from random import Random
from typing import TYPE_CHECKING

from agenthost.core.admission.admission import OWN_BYTES, Claim, Room, Tombstone, TombstoneReason, is_found
from agenthost.core.admission.fence import Admission
from agenthost.core.ending import Cause, Ending
from agenthost.errors import (
    EndUnheardError,
    EpochSupersededError,
    HostDrainingError,
    InvalidRequestError,
    NotFoundError,
    StatusError,
    StorageError,
    Violation,
)
from tests.simulation.agenda import Process, Task, Wait
from tests.simulation.disk import DiskFull, Folder, Log, Spool
from tests.simulation.execution import Attachment, Execution, Gone
from tests.simulation.messages import Ack, Cancel, HostState, Listed, ListExecutions, Request, Resume, Start, WatchHost
from tests.simulation.network import Call, End
from tests.simulation.outbox import Outbox

if TYPE_CHECKING:
    from conductor.core.model.events import StartSpec
    from tests.simulation.machine import Machine
    from tests.simulation.shim import Shim
    from tests.simulation.subject import Subject

HEARTBEAT_SECONDS = 2.0
LEASE_SECONDS = 5.0
LINGER_SECONDS = 2.0
READ_BYTES = 200


class Daemon(Process):
    """One life of a host's daemon."""

    outbox = Outbox

    def __init__(self, machine: "Machine", subject: "Subject") -> None:
        super().__init__(machine.agenda)
        self.machine = machine
        self.subject = subject
        self.disk = machine.disk
        self.rng = Random(f"daemon {machine.seed} {machine.name} {machine.agenda.now}")
        self.is_serving = False
        self.running = 0
        self.epochs: dict[str, int] = {}
        self.stones: dict[str, Tombstone] = {}
        self.executions: dict[str, Execution] = {}
        self.start(self._boot())

    def now(self) -> float:
        return self.agenda.now + self.machine.clock_offset

    # Its beginning.

    def _boot(self) -> Task:
        yield self.rng.random()
        for conductor, epoch in self.disk.fences.items:
            self.epochs[conductor] = max(epoch, self.epochs.get(conductor, 0))
        self.stones = {stone.execution: stone for stone in self.disk.stones.items}
        for name, folder in list(self.disk.folders.items()):
            if self.is_adoptable(folder):
                self._adopt(folder)
            elif name not in self.machine.shims:
                del self.disk.folders[name]
        self.is_serving = True

    def is_adoptable(self, folder: Folder) -> bool:
        return folder.spool is not None and not self._is_spent(folder.start.execution)

    def _adopt(self, folder: Folder) -> None:
        self.machine.seen["execution adopted"] += 1
        claim = Claim(folder.conductor, repr(folder.start))
        execution = Execution(claim, folder.start, self.subject.delivery(recalled=True))
        execution.folder = folder
        self._take_on(execution, self._attach(execution))

    # The servicer.

    def serve(self, call: Call) -> None:
        self.start(self._serve(call))

    def _serve(self, call: Call) -> Task:
        end = None
        try:
            yield from self._answer(call)
        except StatusError as error:
            end = End(error.code, error.reason, str(error))
        except DiskFull:
            end = End("UNAVAILABLE", "STORAGE_UNAVAILABLE", "no space is left")
        except Gone:
            pass
        call.finish(end)

    def _answer(self, call: Call) -> Task:
        while not call.requests:
            if call.is_half_closed or call.is_broken:
                raise InvalidRequestError(Violation("frame", "there was none"))
            yield call.bell
        request = call.requests.pop(0)
        match request:
            case Request(frame=WatchHost()):
                yield from self._tell_state(call)
            case Request(frame=ListExecutions()):
                yield from self.admit(request)
                call.respond(self._list(request.conductor))
            case Request():
                yield from self.admit(request)
                execution, after = yield from self._open(request)
                yield from self._stream(call, execution, after)

    def admit(self, request: Request) -> Task:
        """Stores a newer epoch before anything is done in its name."""
        if self._compare(request) is Admission.NEWER:
            self.machine.pass_point("epoch seen, not stored")
            yield self.rng.random() * 0.01
            if self._compare(request) is Admission.NEWER:
                self.disk.fences.append((request.conductor, request.epoch))
                self.disk.fences.sync()
                self.epochs[request.conductor] = request.epoch
        self.machine.admitted.append((request.conductor, request.epoch))

    def _compare(self, request: Request) -> Admission:
        admission = self.subject.admit(self.epochs.get(request.conductor, 0), request.epoch)
        if admission is Admission.STALE:
            self.machine.seen["older epoch refused"] += 1
            raise EpochSupersededError
        return admission

    def _tell_state(self, call: Call) -> Task:
        told: HostState | None = None
        while not call.is_broken:
            state = HostState(self.machine.slots, self.machine.agents, self.machine.is_draining)
            call.respond(None if state == told else state)  # a heartbeat, where nothing changed
            told = state
            yield HEARTBEAT_SECONDS

    def _list(self, conductor: str) -> tuple[Listed, ...]:
        return tuple(
            Listed(known.id, known.ending is not None, known.delivery.last)
            for known in self.executions.values()
            if known.claim.conductor == conductor
        )

    def _open(self, request: Request) -> Generator[Wait, None, tuple[Execution, int]]:
        match request.frame:
            case Start(spec=spec):
                execution = self._start(request.conductor, spec)
                yield from self._wait_decided(execution)
                return execution, 0
            case Resume(execution=name, after=after):
                known = self.executions.get(name)
                if known and is_found(name, request.conductor, known.claim):
                    yield from self._wait_decided(known)
                    return known, after
                if not self._is_spent(name):
                    self.machine.seen["id spent in vain"] += 1
                    yield from self.bury(Tombstone(name, request.conductor, TombstoneReason.UNKNOWN, self.now()))
                raise NotFoundError("execution", name)
            case _:
                raise InvalidRequestError(Violation("frame", "the first frame must be start or resume"))

    # The supervisor.

    def _start(self, conductor: str, spec: "StartSpec") -> Execution:
        name, claim = spec.execution, Claim(conductor, repr(spec))
        known = self.executions.get(name)
        stone = self.stones.get(name) if self._is_spent(name) else None
        if self.subject.attaches(name, claim, known.claim if known else None, stone):
            self.machine.seen["start repeated"] += 1
            return self.executions[name]
        if self.machine.is_draining:
            raise HostDrainingError
        room = Room(
            self.machine.slots, self.running, len(self.executions), 0, 0 if self.disk.is_full else 2 * OWN_BYTES
        )
        room.require(1, self.machine.name)
        execution = Execution(claim, spec, self.subject.delivery())
        self._take_on(execution, self._prepare(execution, spec))
        return execution

    def _wait_decided(self, execution: Execution) -> Task:
        while not execution.is_decided:
            yield execution.bell
        if execution.refusal:
            raise execution.refusal

    def _take_on(self, execution: Execution, begin: Task) -> None:
        self.executions[execution.id] = execution
        self.running += 1
        self.start(self._run(execution, begin))

    def _run(self, execution: Execution, begin: Task) -> Task:
        try:
            yield from begin
        except DiskFull:
            self._refuse(execution, StorageError())
        else:
            execution.is_decided = True
            execution.bell.ring()
            yield from self._accompany(execution)
        self.running -= 1

    def _refuse(self, execution: Execution, refusal: StatusError) -> None:
        self.disk.folders.pop(execution.id, None)
        del self.executions[execution.id]
        execution.refusal = refusal
        execution.is_decided = True
        execution.bell.ring()

    def _prepare(self, execution: Execution, spec: "StartSpec") -> Task:
        """Makes everything durable, then spawns."""
        yield self.rng.random() * 0.1  # the sandbox is proven, the snapshot made sure of
        self.disk.require_space()
        folder = Folder(spec, execution.claim.conductor, Log(self.disk))
        self.disk.folders[execution.id] = execution.folder = folder
        self.machine.pass_point("folder made, not durable")
        yield self.rng.random() * 0.05
        yield from self.settle_folder(folder)
        folder.spool = Spool(self.disk)
        yield self.rng.random() * 0.02
        self.machine.spawn(folder)
        self.machine.pass_point("spawned")
        yield from self._attach(execution)

    def settle_folder(self, folder: Folder) -> Task:
        folder.is_durable = True
        yield self.rng.random() * 0.02

    def _attach(self, execution: Execution) -> Task:
        execution.shim = self.machine.shims.get(execution.id)
        yield 0.0

    def bury(self, stone: Tombstone) -> Task:
        self.stones[stone.execution] = stone
        yield self.rng.random() * 0.01
        self.disk.stones.append(stone)
        self.disk.stones.sync()

    def _is_spent(self, name: str) -> bool:
        stone = self.stones.get(name)
        return stone is not None and stone.counts(self.now())

    def release(self, execution: Execution) -> Task:
        """Forgets an execution whose end was acknowledged."""
        if self.executions.get(execution.id) is not execution or execution.ending is None:
            return
        yield from self.bury(
            Tombstone(
                execution.id,
                execution.claim.conductor,
                TombstoneReason.RELEASED,
                self.now(),
                "",
                execution.delivery.last,
            )
        )
        yield from self.remove(execution)

    def remove(self, execution: Execution) -> Task:
        if self.executions.pop(execution.id, None):
            yield self.rng.random() * 0.02
            self.disk.folders.pop(execution.id, None)

    # The execution.

    def _accompany(self, execution: Execution) -> Task:
        shim, folder = execution.shim, execution.folder
        if folder is None:
            raise RuntimeError("an execution without a folder")
        if shim is not None:
            self.start(self._keep_lease(execution, shim))
            self.start(self._pass_cancel(execution, shim))
        while folder.status is None and self._is_kept(shim):
            execution.bell.ring()
            yield shim.bell if shim is not None else 0.0
        yield self.rng.random() * 0.02  # the look back at the snapshot
        status = folder.status
        cause = Cause.SHIM_LOST if status is None else status.cause
        self.machine.seen[f"ended: {cause}"] += 1
        execution.ending = Ending(cause) if status is None else Ending(cause, status.exit_code, status.signal)
        execution.bell.ring()

    def _is_kept(self, shim: "Shim | None") -> bool:
        return shim is not None and shim.is_alive

    def _keep_lease(self, execution: Execution, shim: "Shim") -> Task:
        while execution.ending is None:
            if self.is_attended(execution):
                shim.do(shim.renew_lease)
            yield min(LEASE_SECONDS, 10.0)

    def is_attended(self, execution: Execution) -> bool:
        return execution.stream is not None and execution.stream.is_heard

    def _pass_cancel(self, execution: Execution, shim: "Shim") -> Task:
        while not execution.is_cancelled:
            yield execution.bell
        yield self.rng.random() * 0.02
        shim.do(shim.cancel)

    # The stream.

    def _stream(self, call: Call, execution: Execution, after: int) -> Task:
        mine, before = Attachment(call), execution.stream
        execution.stream = mine
        try:
            if before is not None:
                self.machine.seen["stream superseded"] += 1
                before.is_superseded = True
                before.call.bell.ring()
                while not before.is_released:
                    yield before.released
            self.start(self._read(mine, execution))
            yield from self.outbox(self, mine, execution, after).write()
            yield from self._linger(mine)
            yield from self._release_if_settled(execution)
            if execution.delivery.is_unheard and (mine.is_heard or execution.delivery.acknowledged):
                raise EndUnheardError
        finally:
            mine.is_released = True
            mine.released.ring()
            call.bell.ring()
            if execution.stream is mine:
                execution.stream = None

    def _read(self, mine: Attachment, execution: Execution) -> Task:
        call = mine.call
        try:
            while not mine.is_released:
                while call.requests:
                    request = call.requests.pop(0)
                    if isinstance(request, Request):
                        yield from self.admit(request)
                        self._take(execution, request)
                        yield from self._release_if_settled(execution)
                if call.is_half_closed:
                    break
                yield call.bell
        except (StatusError, DiskFull) as error:
            mine.refusal = error if isinstance(error, StatusError) else StorageError()
        mine.is_heard = False
        call.bell.ring()

    def _take(self, execution: Execution, request: Request) -> None:
        match request.frame:
            case Cancel():
                execution.is_cancelled = True
                execution.bell.ring()
            case Ack(sequence=sequence):
                execution.delivery.acknowledge(sequence)
            case _:
                raise InvalidRequestError(Violation("frame", "only the first frame may be start or resume"))

    def _release_if_settled(self, execution: Execution) -> Task:
        if execution.delivery.is_settled:
            self.machine.pass_point("end acknowledged, not released")
            yield from self.release(execution)

    def _linger(self, mine: Attachment) -> Task:
        until = self.agenda.now + LINGER_SECONDS
        self.after(LINGER_SECONDS, mine.call.bell.ring)
        while mine.is_heard and self.agenda.now < until:
            yield mine.call.bell
        mine.check()
