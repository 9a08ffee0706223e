"""Owns every execution of this host and its task: begins, finds and releases them. Streams only attach.

A Start is accepted in this order. A known id attaches and a blocked id is refused (`core.admission`). The order must be right,
the agent usable, and a slot free. Then it waits until the sandbox is proven; the snapshot must be here. Then the folder is made
durable, and only then the shim is spawned. From the slot on, the execution is in the map: a second Start of the id finds it there.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from typing import Self

import structlog

from agenthost.agent_specs import Agent
from agenthost.attempt.execution import Begin, Execution
from agenthost.attempt.folder import AttemptFolders
from agenthost.attempt.request import AcceptedRequest, Request
from agenthost.config import MAX_PROMPT_BYTES
from agenthost.core.admission.admission import (
    Claim,
    Room,
    Tombstone,
    TombstoneReason,
    UnheardEnd,
    attaches,
    expired,
    is_found,
)
from agenthost.core.admission.order import Order, check_order
from agenthost.core.ending import Cause
from agenthost.errors import InvalidRequestError, NotFoundError, StatusError, Violation
from agenthost.host.preparation import Preparation
from agenthost.host.state import Host
from agenthost.host.tombstones import Tombstones
from agenthost.snapshots.integrity import SnapshotIntegrity

# The least time between two looks for ends to expire, when attempts end. One that begins always looks.
EXPIRY_SECONDS = 1.0

_log = structlog.get_logger()


# Takes an execution that has ended, or was refused.
NoteEnd = Callable[[Execution, StatusError | None], None]


def ignore_end(_: Execution, __: StatusError | None) -> None:
    """Does nothing about an end: for a host without metrics."""


class Supervisor:
    """Begins, finds and releases executions. Use it as a context; end or leave what runs before leaving it."""

    def __init__(
        self,
        host: Host,
        integrity: SnapshotIntegrity,
        folders: AttemptFolders,
        tombstones: Tombstones,
        preparation: Preparation,
        *,
        now: Callable[[], float],
        note_end: NoteEnd = ignore_end,
    ) -> None:
        """Makes a supervisor. `note_end` is told of each execution that ended, or was refused."""
        self._host = host
        self._note_end = note_end
        self._integrity = integrity
        self._folders = folders
        self._tombstones = tombstones
        self._preparation = preparation
        self._now = now
        self._executions: dict[str, Execution] = {}
        self._expired_at = 0.0
        self._tasks = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._tasks.__aexit__(*error)  # type: ignore[arg-type]

    async def start(self, request: Request) -> Execution:
        """Begins an execution, or returns the known one with the same content."""
        name = request.order.execution
        known, stone = self._executions.get(name), self._tombstones.find(name)
        claim = known.request.claim if known else None
        is_known = attaches(name, Claim(request.conductor, request.digest), claim, stone)
        execution = self._executions[name] if is_known else self._begin(request)
        await execution.accepted()
        return execution

    async def find(self, execution: str, conductor: str) -> Execution:
        """Returns a known execution of this conductor; blocks the id of an unknown one, and raises NotFoundError."""
        known = self._executions.get(execution)
        if known and is_found(execution, conductor, known.request.claim):
            await known.accepted()
            return known
        if self._tombstones.find(execution) is None:
            _log.info("execution_blocked", execution=execution)
        # Also where it is blocked already: that may not be on the disk yet.
        await self._tombstones.add(Tombstone(execution, conductor, TombstoneReason.UNKNOWN, self._now()))
        raise NotFoundError("execution", execution, hint="it does not run here, and its id is blocked from now on")

    async def release(self, execution: Execution) -> None:
        """Forgets an execution whose end was acknowledged; its id is stored as blocked before anything is deleted."""
        if self._executions.get(execution.id) is not execution or not execution.ended:
            return
        accepted = execution.request
        stone = Tombstone(
            execution.id,
            accepted.conductor,
            TombstoneReason.RELEASED,
            self._now(),
            accepted.agent.name,
            execution.delivery.last,
        )
        await self._tombstones.add(stone)
        if self._executions.pop(execution.id, None):
            execution.close()
            # The folder goes even if the stream that asked for it is cut, and this task cancelled.
            await asyncio.shield(self._tasks.create_task(self._clear(accepted)))

    async def _clear(self, accepted: AcceptedRequest) -> None:
        """Deletes a released attempt. If that fails now, the next start deletes it: its id is blocked."""
        await self._forget_folder(accepted)
        _log.info("execution_released", execution=accepted.order.execution)

    async def _forget_folder(self, accepted: AcceptedRequest) -> None:
        try:
            await asyncio.to_thread(self._folders.remove, accepted.folder)
        except OSError as error:
            _log.warning("folder_kept", folder=str(accepted.folder), why=str(error))

    def is_blocked(self, execution: str) -> bool:
        """Returns whether this id must not run any more."""
        return self._tombstones.find(execution) is not None

    def adopt(self, request: Request, fingerprint: str) -> None:
        """Takes over an execution that an earlier daemon began."""
        agent = self._host.agents.get(request.order.agent) or Agent(request.order.agent, self._host.settings.data)
        folder = self._folders.path_of(request.order.execution)
        accepted = AcceptedRequest(request.conductor, request.order, request.digest, agent, folder, adopted=True)
        execution = Execution(accepted)
        self._integrity.readmit(request.order.snapshot, execution)
        self._take_on(execution, lambda: self._preparation.resume(accepted, fingerprint))

    @property
    def executions(self) -> list[Execution]:
        """Returns every execution that is not released."""
        return list(self._executions.values())

    def conductors(self) -> frozenset[str]:
        """Returns the conductors that have executions here."""
        return frozenset(known.request.conductor for known in self._executions.values())

    def executions_of(self, conductor: str) -> list[Execution]:
        """Returns the executions that a conductor began and has not released."""
        return [known for known in self._executions.values() if known.request.conductor == conductor]

    def released_by(self, conductor: str) -> list[Tombstone]:
        """Returns the executions that a conductor released in the last day."""
        return [
            stone
            for stone in self._tombstones.all()
            if stone.conductor == conductor
            and stone.why is TombstoneReason.RELEASED
            and stone.execution not in self._executions
        ]

    async def end_all(self, grace_seconds: float) -> None:
        """Ends all running executions, and waits until attached conductors know of it, but not longer than the grace."""
        running = [known for known in self._executions.values() if not known.ended]
        for execution in running:
            execution.cancel(f"host {self._host.settings.name} is stopping", Cause.HOST_STOPPED)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                for execution in running:
                    await execution.wait_reported()

    async def let_go(self, grace_seconds: float) -> int:
        """Leaves running executions to their shims, for the next daemon; returns how many go on.

        It first waits for those that are being begun: between the folder and the shim they would be neither begun nor refused.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                for execution in list(self._executions.values()):
                    await execution.decided()
        for task in list(self._running):
            task.cancel()
        return sum(known.shim_alive for known in self._executions.values())

    def close(self) -> None:
        """Closes the links to all shims and all spools. No stream may be attached any more."""
        for execution in self._executions.values():
            execution.close()

    def _begin(self, request: Request) -> Execution:
        self._host.refuse_new_work()
        order = request.order
        if violations := tuple(check_order(order, self._host.settings.limits, MAX_PROMPT_BYTES)):
            raise InvalidRequestError(*violations)
        self._host.refuse_unproven()
        agent = self._host.agent(order.agent)
        if violations := agent.violations(order.parameters):
            raise InvalidRequestError(*violations)
        if order.has_turns and not agent.usable().has_turns:
            why = f"agent '{order.agent}' takes one turn only: ask for one, or for an agent with the feature 'turns'"
            raise InvalidRequestError(Violation("start.turns", why))
        self._require_room(order)
        accepted = AcceptedRequest(
            request.conductor, order, request.digest, agent, self._folders.path_of(order.execution)
        )
        execution = Execution(accepted)
        self._integrity.expect(order.snapshot, execution)
        self._take_on(execution, lambda: self._preparation.begin(execution, request))
        return execution

    def _take_on(self, execution: Execution, begin: Begin) -> None:
        self._executions[execution.id] = execution
        self._host.count(+1)
        task = self._tasks.create_task(self._run(execution, begin))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _expire(self) -> None:
        """Releases ends that no conductor fetched in time, so that they do not fill the host."""
        self._expired_at = self._now()
        settings = self._host.settings
        ends = [
            UnheardEnd(known.id, known.ended_ns / 1e9, known.spool_size)
            for known in self._executions.values()
            if known.ended and known.attachments.current is None
        ]
        for name, why in expired(ends, self._now(), settings.unheard_seconds, settings.unheard_bytes).items():
            _log.warning("execution_expired", execution=name, why=why)
            self._tasks.create_task(self._let_expire(self._executions[name]))

    async def _let_expire(self, execution: Execution) -> None:
        try:
            await self.release(execution)
        except StatusError as error:  # a full disk: the next attempt that begins or ends tries again
            _log.warning("execution_not_released", execution=execution.id, why=str(error))

    def _require_room(self, order: Order) -> None:
        self._expire()
        settings = self._host.settings
        running = [known for known in self._executions.values() if not known.ended]
        room = Room(
            slots=settings.slots,
            running=self._host.running,
            kept=len(self._executions),
            promised_bytes=sum(
                max(0, known.request.order.limits.max_output_bytes - known.spool_size) for known in running
            ),
            free_bytes=shutil.disk_usage(settings.data).free,
        )
        room.require(order.limits.max_output_bytes, settings.name)

    async def _run(self, execution: Execution, begin: Begin) -> None:
        order = execution.request.order
        try:
            await execution.run(
                begin,
                lambda before: self._preparation.look_back(execution, before),
                lambda: self._preparation.begin_turn(execution),
            )
            self._note_end(execution, None)
        except StatusError as refusal:
            await self._forget_folder(execution.request)
            del self._executions[execution.id]
            execution.refuse(refusal)
            self._note_end(execution, refusal)
            _log.info("execution_refused", execution=execution.id, reason=refusal.reason, text=str(refusal))
        finally:
            self._integrity.leave(order.snapshot, execution)
            self._host.count(-1)
            if not self._host.stopping and self._now() - self._expired_at > EXPIRY_SECONDS:
                self._expire()
