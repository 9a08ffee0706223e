"""Broken twins: the same system with one rule left out, on either side or between. A simulation must catch each.

The mutants beside this file break what the conductor's core decides; these break streams, hosts, disks and watchers. Each is the
real part with one thing changed, and is caught by what it does to a history, never by how it does it.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from typing import Any

import agenthost.app
from agenthost.attempt import control, cuts, execution, folder, outbox
from agenthost.attempt.folder import AttemptFolders, StoredStart
from agenthost.attempt.process import AttemptProcess
from agenthost.core.admission.admission import Claim, Tombstone, attaches
from agenthost.core.output.agent_output import Summary
from agenthost.core.output.delivery import Delivery
from agenthost.core.output.frame import Frame
from agenthost.core.output.input_queue import Acceptance, InputQueue
from agenthost.core.output.numbering import Cut, Numbering
from agenthost.host import fences, supervisor
from agenthost.host.tombstones import Tombstones
from agenthost.shim.turns import Inputs, Turns
from agenthost.v1 import execution_service_pb2 as pb
from conductor.core.conversation import Conversation, ExecutionCommand
from conductor.core.model.commands import AckExecution, CancelExecution, CloseExecution, SendInput
from conductor.hosts import attempt_stream
from conductor.hosts.attempt_stream import AttemptStream
from conductor.hosts.executions import ExecutionLink
from conductor.hosts.mailbox import Mailbox
from tests.kit.histories import Entry
from tests.simulation.mutants import Mutant
from tests.simulation.programs import stdin
from tests.simulation.programs.watchers import PAGE, Watcher

_take, _frames = AttemptStream._take, outbox.Outbox.frames
_note_read = execution.Execution.note_read


async def _acknowledge_what_is_read(self: AttemptStream, response: pb.ExecuteResponse) -> None:
    """Acknowledges a frame when it arrives, before anything is stored."""
    await _take(self, response)
    self.mailbox.put(AckExecution("", self.attempt, response.sequence, finished=response.HasField("finished")))


def _read_by_time(self: Watcher) -> list[Entry]:
    """Takes the time of what was told last for the token, not the position."""
    entries, times = self.world.store.entries[self.run], self.world.store.times[self.run]
    last = times[self.place - 1] if self.place else float("-inf")
    return [entry for entry, time in zip(entries, times, strict=True) if time > last][:PAGE]


def _read_the_last_again(self: Watcher) -> list[Entry]:
    """Goes on at the token, not after it."""
    is_back = len(self.visits) > 1 and not self.visits[-1][1]
    return self.world.store.page(self.run, self.place - is_back, PAGE)


class _ResumesOneTooLate(Conversation):
    """Believes to have one more frame than it has, when a stream begins again."""

    def begin_stream(self) -> None:
        super().begin_stream()
        if self.received > 1 and self.to_start is None:
            self.received += 1


class _ForgetsAfterTelling(Mailbox):
    """What was told once is not told again after a reconnection."""

    def rewind(self) -> None:
        pass


class _TellsOnce(Mailbox):
    """A command of one kind is told on one stream, and not again when that breaks."""

    kind: type[ExecutionCommand] = CancelExecution
    _is_told = False

    def take_now(self) -> ExecutionCommand | None:
        command = super().take_now()
        if isinstance(command, self.kind):
            if self._is_told:
                return super().take_now()
            self._is_told = True
        return command


class _TellsInputOnce(_TellsOnce):
    kind = SendInput


class _TellsCloseOnce(_TellsOnce):
    kind = CloseExecution


async def _lose_turns(self: AttemptStream, response: pb.ExecuteResponse) -> None:
    """The end of a turn is heard only by the process that began the attempt."""
    if response.HasField("turn") and self._conversation._starts == 0:
        response = pb.ExecuteResponse(sequence=response.sequence)
    await _take(self, response)


def _know_no_turns(self: execution.Execution, summary: Summary | None) -> None:
    """A daemon that was restarted does not tell the shim which turns have ended."""
    if not self.request.adopted:
        _note_read(self, summary)


class _TakesAgain(Inputs):
    """An input that was applied is applied again."""

    def is_next(self, number: int) -> bool:
        return True

    def offer(self, number: int, text: bytes, asker: int) -> bool | None:
        self.taken = self.last = number - 1
        return super().offer(number, text, asker)


class _NeverSpent(Turns):
    """Any number of turns may be taken."""

    def refusal(self, inputs: Inputs) -> str:
        return ""


class _QueuesAgain(InputQueue):
    """A daemon takes any input for new."""

    def offer(self, number: int, text: str) -> Acceptance:
        self._last = min(self._last, number - 1)
        return super().offer(number, text)


def _forget_cuts(self: cuts.Cuts) -> Iterator[Cut]:
    """A replay cuts the spool as it likes."""
    self._path.write_bytes(b"")
    return iter(())


def _replay_anyhow(self: outbox.Outbox, after: int) -> AsyncGenerator[Frame, None]:
    return _frames(self, min(after, 1))


def _sync_nothing(*_: object) -> None:
    """The agent runs before its folder is sure to survive."""


async def _bury_nothing(self: Tombstones, stone: Tombstone) -> None:
    """An id that was asked for in vain, or released, may run all the same."""


async def _adopt_nothing(*_: object) -> None:
    """A restarted daemon knows nothing of what an earlier one began."""


def _trust_the_files(self: AttemptFolders, stored: StoredStart) -> bool:
    """An agent of which a power cut left no trace has never run."""
    return False


async def _renew_every_lease(self: execution.Execution, process: AttemptProcess) -> None:
    """The lease is renewed whether or not a conductor is attached."""
    while True:
        await process.renew_lease()
        await asyncio.sleep(2)


async def _renew_no_lease(self: execution.Execution, process: AttemptProcess) -> None:
    """The lease is never renewed."""


class _SettlesEarly(Delivery):
    """Any acknowledgement settles an attempt that has ended."""

    @property
    def is_settled(self) -> bool:
        return self.end is not None and self.acknowledged > 0


def _dismiss_nothing(self: ExecutionLink, known: pb.ListExecutionsResponse) -> None:
    """What nobody counts on is left as it is."""


def _admit_everybody(_: str, epoch: int, known: int) -> bool:
    return epoch > known


def _begin_again(execution: str, claim: Claim, known: Claim | None, stone: Tombstone | None) -> bool:
    """A Start of a spent id begins."""
    return attaches(execution, claim, known, None)


class _DropsTheEnd(Numbering):
    """What the end of the spool completes is left out."""

    def frames_at(self, cut: Cut) -> Iterator[Frame]:
        if cut.final:
            self._waiting.clear()
        return super().frames_at(replace(cut))


def _write_without_sync(path: Any, data: bytes) -> None:
    path.write_bytes(data)


TWINS = (
    Mutant("acknowledges before the commit (link)", {(AttemptStream, "_take"): _acknowledge_what_is_read}, hint=22),
    Mutant("reads by time", {(Watcher, "read"): _read_by_time}),
    Mutant("reads the last one again", {(Watcher, "read"): _read_the_last_again}),
    Mutant("has no fence", {(fences, "is_newer"): _admit_everybody}, hint=11),
    Mutant("forgets the fence in a restart", {(fences, "append_lines"): _sync_nothing}, hint=11),
    Mutant("resumes one too late", {(attempt_stream, "Conversation"): _ResumesOneTooLate}),
    Mutant("tells nothing again", {(attempt_stream, "Mailbox"): _ForgetsAfterTelling}, hint=12),
    Mutant("tells a cancel once", {(attempt_stream, "Mailbox"): _TellsOnce}, hint=184),
    Mutant("tells an input once", {(attempt_stream, "Mailbox"): _TellsInputOnce}, hint=170),
    Mutant("tells a close once", {(attempt_stream, "Mailbox"): _TellsCloseOnce}, hint=40),
    Mutant("loses a turn in a restart (conductor)", {(AttemptStream, "_take"): _lose_turns}, hint=6),
    Mutant("loses a turn in a restart (host)", {(execution.Execution, "note_read"): _know_no_turns}, hint=79),
    Mutant(
        "applies an input twice",
        {
            (stdin, "Inputs"): _TakesAgain,
            (stdin, "Turns"): _NeverSpent,
            (control, "InputQueue"): _QueuesAgain,
        },
        hint=50,
    ),
    Mutant(
        "replays along other cuts",
        {(cuts.Cuts, "read"): _forget_cuts, (outbox.Outbox, "frames"): _replay_anyhow},
        hint=6,
    ),
    Mutant(
        "spawns before the folder is durable",
        {(folder, "write_file"): _write_without_sync, (folder, "sync_folder"): _sync_nothing},
        hint=51,
    ),
    Mutant("forgets tombstones", {(Tombstones, "add"): _bury_nothing}, hint=41),
    Mutant("begins what is spent", {(supervisor, "attaches"): _begin_again}, hint=109),
    Mutant("adopts nothing", {(agenthost.app, "adopt_leftovers"): _adopt_nothing}, hint=3),
    Mutant("forgets that the machine was booted", {(AttemptFolders, "outlived_boot"): _trust_the_files}, hint=311),
    Mutant("renews every lease", {(execution.Execution, "_keep_lease"): _renew_every_lease}, hint=29),
    Mutant("renews no lease", {(execution.Execution, "_keep_lease"): _renew_no_lease}, hint=12),
    Mutant("settles at any acknowledgement", {(execution, "Delivery"): _SettlesEarly}, hint=6),
    Mutant("drops what the end completes", {(outbox, "Numbering"): _DropsTheEnd}, hint=53),
    Mutant("dismisses nothing", {(ExecutionLink, "_dismiss_unknown"): _dismiss_nothing}, hint=57),
)
