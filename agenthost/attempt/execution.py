"""Follows one attempt on this host, from its Start to its acknowledged end.

Everything that a stream calls returns at once: `AttemptControl` notes it, and the attempt's own task passes it on.
The agent lives whether or not a stream is attached; its shim sees to that.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from agenthost.attempt.attachment import Attachments
from agenthost.attempt.control import AttemptControl
from agenthost.attempt.cuts import Cuts
from agenthost.attempt.folder import read_dialect, read_revisions, remembered_secrets
from agenthost.attempt.outbox import Outbox
from agenthost.attempt.process import AttemptProcess
from agenthost.attempt.records import (
    RELEASED,
    STATUS,
    SnapshotCheck,
    read_damage,
    read_last_input,
    read_snapshot_check,
    settle_damage,
    time_written,
    write_snapshot_check,
)
from agenthost.attempt.request import AcceptedRequest
from agenthost.config import LEASE_SECONDS, REST_SECONDS
from agenthost.core.admission.agent_spec import AgentSpec, secrets_of
from agenthost.core.damage import Damage, DamagedError
from agenthost.core.ending import Cause, Ending, judge
from agenthost.core.models.measuring import trace_of
from agenthost.core.models.metering import answer_note, metered
from agenthost.core.output.agent_output import AgentOutput, Summary
from agenthost.core.output.delivery import Delivery
from agenthost.core.output.frame import Attestation, Finished, Started
from agenthost.core.output.numbering import highest_number
from agenthost.core.output.prompt_line import prompt_line
from agenthost.core.output.revisions import LATEST
from agenthost.errors import InvalidRequestError, ProgramError, StatusError, Violation
from agenthost.models.usage import read_use
from agenthost.system.change import Change

_log = structlog.get_logger()

# Starts the shim, or finds the living one; returns it with the snapshot's fingerprint from before.
Begin = Callable[[], Awaitable[tuple[AttemptProcess, str]]]
# Checks the snapshot again, and ends its readers if it changed; returns its fingerprint, empty where there is none.
LookBack = Callable[[str], Awaitable[str]]
BeginTurn = Callable[[], Awaitable[None]]


class Execution:
    """One attempt as the host knows it. The supervisor owns its task."""

    def __init__(self, accepted: AcceptedRequest) -> None:
        self.request = accepted
        self.change = Change()
        self.attachments = Attachments()
        self.delivery = Delivery(recalled=accepted.adopted)
        self._process: AttemptProcess | None = None
        self._started: tuple[Started, int] | None = None
        self._ending: Ending | None = None
        self._is_cancelled = False
        self._overtaken_at: float | None = None
        self.ended_ns = 0
        self._spool_size = 0
        self._attestation = Attestation()
        self._decided = asyncio.Event()
        self._refusal: StatusError | None = None
        self.violation = ""  # what became of the snapshot under the agent
        self.damage = read_damage(accepted.folder) if accepted.adopted else None
        self._fault = ""
        self._turns_ended: int | None = None  # None while no stream has read all output
        self._reading = Change()
        run, step, attempt = accepted.order.execution.split("-")
        self._log = _log.bind(execution=self.id, run=run, step=step, attempt=attempt, agent=accepted.agent.name)
        if traceparent := accepted.order.traceparent:
            self._log = self._log.bind(trace=trace_of(traceparent))
        self._control = AttemptControl(self._log)

    @property
    def id(self) -> str:
        """Returns the attempt's id."""
        return self.request.order.execution

    @property
    def started(self) -> tuple[Started, int] | None:
        """Returns the first frame and its time, once the agent was released."""
        return self._started

    @property
    def ended(self) -> bool:
        """Returns whether the agent is gone and the spool complete."""
        return self._ending is not None

    @property
    def ending(self) -> Ending | None:
        """Returns how the agent's process ended; None while it runs."""
        return self._ending

    @property
    def shim_alive(self) -> bool:
        """Returns whether its shim still lives."""
        return self._process is not None and not self._process.has_ended

    @property
    def has_turns(self) -> bool:
        """Returns whether further prompts may follow the first."""
        return self.request.order.has_turns

    @property
    def takes_input(self) -> bool:
        """Returns whether the agent reads its stdin while it runs."""
        spec = self.request.agent.spec
        return self.has_turns or (spec is not None and spec.takes_input)

    def open_outbox(self, after: int) -> Outbox:
        """Opens a stream's way through the output. Attach the stream first: one outbox is in use at a time."""
        spec, limits = self._spec, self.request.order.limits
        self._overtaken_at = None
        self._overtake()
        cuts = Cuts(self.request.folder / "cuts", limits.max_output_bytes)
        self.delivery.resume(after, self._highest_number(cuts))
        secrets: tuple[str, ...] = ()
        revisions, dialect = LATEST, spec.dialect
        try:
            if self.request.adopted:
                revisions = read_revisions(self.request.folder)
                dialect = self._dialect()
            secrets = remembered_secrets(self.request.folder, secrets_of(spec, os.environ))
        except DamagedError as error:
            self._fault = str(error)
        output = AgentOutput(dialect, limits.max_answer_bytes, secrets, revisions, has_turns=self.has_turns)
        return Outbox(self, cuts, output, self.delivery.note)

    @property
    def _spec(self) -> AgentSpec:
        """Returns the agent's spec: an attempt that runs goes on though its agent may have become unusable for others."""
        return self.request.agent.spec or self.request.agent.usable()

    def _dialect(self) -> str:
        """Returns the dialect that the agent was started with."""
        kept = read_dialect(self.request.folder) if self.request.adopted else ""
        return kept or self._spec.dialect

    def _highest_number(self, cuts: Cuts) -> int | None:
        """Returns the highest number that an earlier daemon can have used; None where the files cannot tell."""
        if not self.delivery.is_uncounted or self.damage or not (self.shim_alive or self.is_whole):
            return None  # a shim that is lost may have gone with the machine, and the files' ends with both
        try:
            return highest_number(cuts.newest(), self.spool_size, is_over=not self.shim_alive)
        except (DamagedError, OSError):  # the replay meets it again, and names it
            return None

    @property
    def spool_size(self) -> int:
        """Returns how long the spool must be by now."""
        return self._spool_size if self.ended or self._process is None else self._process.spool_size()

    @property
    def is_overtaken(self) -> bool:
        """Returns whether a cancel overtakes the output that is not read yet: the agent is gone, and some time has passed."""
        return self._overtaken_at is not None and asyncio.get_running_loop().time() >= self._overtaken_at

    def _overtake(self) -> None:
        """Begins the time that the rest of a cancelled agent's output has."""
        if self._is_cancelled and self.ended and self._overtaken_at is None:
            self._overtaken_at = asyncio.get_running_loop().time() + REST_SECONDS

    @property
    def is_whole(self) -> bool:
        """Returns whether the spool was completed in order: by a shim that wrote an end."""
        return self._process is not None and self._process.status() is not None

    @property
    def fault(self) -> str:
        """Returns why the output cannot be sent; empty where it can."""
        return self._fault or (self._process.fault if self._process else "")

    async def mark_damaged(self, text: str, sequence: int) -> Damage:
        """Ends the attempt because its files were changed; `sequence` is the number of its last frame."""
        self._log.error("execution_damaged", why=text)
        self.cancel("its files on the host's disk were damaged")
        while not self.ended:
            await self.change.subscribe().wait()
        found = Damage(text, sequence, time.time_ns())
        if self.damage is None:
            self.damage = await asyncio.to_thread(settle_damage, self.request.folder, found)
        return self.damage

    def read_spool(self, offset: int, limit: int) -> bytes:
        """Returns bytes of the spool; empty when there are none yet."""
        if self._process is None:
            return b""
        if not self.ended:
            return self._process.read_spool(offset, limit)
        # Thousands of ends may wait for their conductor: none of them keeps a descriptor.
        with (self.request.folder / "spool").open("rb") as spool:
            spool.seek(offset)
            return spool.read(min(limit, max(0, self._spool_size - offset)))

    def finish(self, summary: Summary, sequence: int, *, is_cancelled: bool = False) -> tuple[Finished, int]:
        """Returns the last frame and its time: the end, judged with all that the agent said.

        `is_cancelled`: a cancel overtook its output.
        """
        if self._ending is None:
            raise RuntimeError("an attempt that runs has no last frame")
        self.delivery.note(sequence, is_end=True)
        use = read_use(self.request.folder)
        note = answer_note(summary.answer_note, use)
        summary = replace(summary, usage=metered(summary.usage, use), answer_note=note)
        ending = self._ending
        if is_cancelled:
            ending = replace(ending, cause=Cause.CANCELLED)
        if self.damage:
            ending = replace(ending, cause=Cause.FILES_DAMAGED, detail=self.damage.text)
        verdict = judge(ending, summary, self.request.order.granted, use)
        return Finished(verdict, ending, summary, self._attestation, use, self.ended_ns), self.ended_ns

    def offer_input(self, number: int, text: str) -> None:
        """Takes an input for the agent; raises when it is out of order, or when the agent has too many to read."""
        if not self.takes_input:
            raise InvalidRequestError(Violation("input", f"agent '{self.request.agent.name}' takes no input"))
        self._control.offer_input(number, text)

    def _line_of(self, text: str) -> str:
        """Returns an input as the agent reads it: by lines."""
        if self.has_turns:
            return prompt_line(self._dialect(), text)
        return text if text.endswith("\n") else f"{text}\n"

    def close_input(self) -> None:
        """Takes the word that no further turn follows; `finished` reports the end. Repeating it is harmless."""
        if not self.has_turns:
            raise InvalidRequestError(Violation("close", "is for a Start with two turns or more; this one has one"))
        self._control.close_input()

    def note_read(self, summary: Summary | None) -> None:
        """Notes how many turns have ended, whenever a stream has read all output; None when it ends."""
        ended = None if summary is None else summary.last_turn.number if summary.last_turn else 0
        if ended != self._turns_ended:
            self._turns_ended = ended
            self._reading.notify()

    def cancel(self, reason: str, cause: Cause = Cause.CANCELLED) -> None:
        """Asks for the agent's end; `finished` reports it, with the first cause. Repeating it is harmless."""
        self._is_cancelled = True
        self._overtake()
        if not self.ended:
            self._control.cancel(reason, cause)

    def violate(self, text: str) -> None:
        """Ends the agent because its snapshot is not what was checked out."""
        if not self.violation:
            self.violation = text
            self._log.error("snapshot_violated", why=text)
            self.cancel("the snapshot changed")

    async def decided(self) -> None:
        """Waits until this attempt has begun or was refused."""
        await self._decided.wait()

    async def accepted(self) -> None:
        """Waits until this attempt certainly runs here; raises what refused it."""
        await self._decided.wait()
        if self._refusal:
            raise self._refusal

    def refuse(self, refusal: StatusError) -> None:
        """Tells all waiting callers that it never began."""
        self._refusal = refusal
        self._decided.set()

    async def wait_reported(self) -> None:
        """Waits for the end, and until an attached stream has sent it."""
        while not self.ended:
            await self.change.subscribe().wait()
        while self.attachments.current:
            await self.attachments.changed()

    def close(self) -> None:
        """Closes the link to the shim, and the spool."""
        if self._process:
            self._process.close()

    async def run(self, begin: Begin, look_back: LookBack, begin_turn: BeginTurn) -> None:
        """Follows the agent to its end. Raises only what refuses its beginning."""
        try:
            self._process, before = await begin()
        except (StatusError, asyncio.CancelledError):
            raise
        except Exception as error:  # our defect: the caller learns that, not its text
            self._log.exception("execution_not_begun")
            raise ProgramError(
                "the host could not begin this execution because of a defect; its log says more"
            ) from error
        if self.request.adopted and self.takes_input:
            self._control.recall(await asyncio.to_thread(read_last_input, self.request.folder))
        self._process.change = self.change  # streams wake with every word of its shim
        self._decided.set()
        self._log.info("execution_adopted" if self.request.adopted else "execution_accepted")
        try:
            self._ending = await self._accompany(self._process, before, look_back, begin_turn)
        except Exception as error:  # noqa: BLE001 - the task's top: an attempt's trouble must not become the host's
            self._log.exception("execution_broke")
            await self._process.cancel("the host lost control of it")
            self._ending = Ending(Cause.SHIM_LOST, detail=f"The host lost control of it: {type(error).__name__}.")
        self.ended_ns = time_written(self.request.folder / STATUS)
        self._spool_size = self._process.spool_size()
        self._process.close()
        self._overtake()
        self._log.info("execution_ended", cause=self._ending.cause, exit_code=self._ending.exit_code)
        self.change.notify()

    async def _accompany(
        self, process: AttemptProcess, before: str, look_back: LookBack, begin_turn: BeginTurn
    ) -> Ending:
        self._attestation = replace(self._attestation, snapshot_fingerprint_before=before)
        async with asyncio.TaskGroup() as tasks:
            companions = [
                tasks.create_task(self._control.pass_inputs(process, self._line_of, begin_turn)),
                tasks.create_task(self._control.pass_cancel(process)),
                tasks.create_task(self._keep_lease(process)),
            ]
            if self.has_turns:
                companions.append(tasks.create_task(self._control.pass_close(process)))
                companions.append(tasks.create_task(self._tell_turns(process)))
            await self._report_started(process)
            await process.ended()
            for companion in companions:
                companion.cancel()
        after = await self._look_back(before, look_back)
        seen = f"snapshot: changed: {after.violation}" if after.violation else "snapshot: the same before and after"
        checks = (*self._attestation.checks, seen) if self._started else ()
        self._attestation = replace(self._attestation, snapshot_fingerprint_after=after.fingerprint, checks=checks)
        return process.ending(after.violation if self._started else "")

    async def _look_back(self, before: str, look_back: LookBack) -> SnapshotCheck:
        """Checks the snapshot once for an attempt, so that its end reads the same after a restart of this daemon."""
        if known := await asyncio.to_thread(read_snapshot_check, self.request.folder):
            return known
        fingerprint = await look_back(before)
        check = SnapshotCheck(fingerprint, self.violation)
        try:
            await asyncio.to_thread(write_snapshot_check, self.request.folder, check)
        except OSError as error:  # a full disk: the next daemon checks again
            self._log.warning("snapshot_check_not_kept", why=error.strerror)
        return check

    async def _report_started(self, process: AttemptProcess) -> None:
        if attestation := await process.wait_started():
            before = self._attestation.snapshot_fingerprint_before
            self._attestation = replace(attestation, snapshot_fingerprint_before=before)
            self._started = Started(self._attestation), time_written(self.request.folder / RELEASED)
            self._log.info("agent_started", pid=attestation.pid)
        self.change.notify()

    async def _tell_turns(self, process: AttemptProcess) -> None:
        """Tells the shim which turns have ended, at once and, for a connection that was lost, again and again."""
        while True:
            changed = self._reading.subscribe()
            await process.tell_turns(self._turns_ended)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEASE_SECONDS):
                    await changed.wait()

    async def _keep_lease(self, process: AttemptProcess) -> None:
        interval = min(LEASE_SECONDS, self.request.order.limits.orphan_timeout_seconds / 4)
        while True:
            stream = self.attachments.current
            if stream and stream.is_heard:
                await process.renew_lease()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self.attachments.changed()
