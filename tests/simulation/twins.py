"""Broken twins: the same system with one rule left out, on either side or between. A simulation must catch each.

The mutants beside this file break what the conductor's core decides; these break streams, hosts, disks and watchers. Each is the
real part with one thing changed, and is caught by what it does to a history, never by how it does it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agenthost.core.admission.admission import Claim, Tombstone, attaches
from agenthost.core.admission.fence import Admission
from agenthost.core.output.delivery import Delivery
from agenthost.core.output.numbering import Cut, Numbering
from conductor.core.conversation import Conversation, ExecutionCommand
from conductor.core.model.commands import AckExecution, CancelExecution
from conductor.hosts.mailbox import Mailbox
from tests.histories import Entry
from tests.simulation.agenda import Task
from tests.simulation.conductor import Attendance, Conductor
from tests.simulation.daemon import Daemon
from tests.simulation.disk import Folder
from tests.simulation.execution import Execution
from tests.simulation.messages import Listed, Request
from tests.simulation.mutants import Mutant
from tests.simulation.outbox import Outbox
from tests.simulation.subject import Subject
from tests.simulation.watchers import PAGE, Watcher

if TYPE_CHECKING:
    from agenthost.core.output.frame import Frame
    from tests.simulation.machine import Machine


class _AcknowledgesWhatItReads(Conductor):
    """Acknowledges a frame when it arrives, before anything is stored."""

    def _take(self, one: Attendance, frame: "Frame"):  # type: ignore[no-untyped-def] # noqa: ANN202
        fault = super()._take(one, frame)
        is_end = type(frame.content).__name__ == "Finished"
        one.put(AckExecution(one.machine.name, one.attempt, one.conversation.received, finished=is_end))
        return fault


class _ReadsByTime(Watcher):
    """Its token is the time of what it was told last, not the position."""

    def read(self) -> list[Entry]:
        entries, times = self.world.store.entries[self.run], self.world.store.times[self.run]
        last = times[self.place - 1] if self.place else float("-inf")
        return [entry for entry, time in zip(entries, times, strict=True) if time > last][:PAGE]


class _ReadsWhatItReadLast(Watcher):
    """Goes on at its token, not after it."""

    def read(self) -> list[Entry]:
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


class _TellsCancelOnce(Mailbox):
    """A cancel is told on one stream, and not again when that breaks."""

    _is_told = False

    def take_now(self) -> ExecutionCommand | None:
        command = super().take_now()
        if isinstance(command, CancelExecution):
            if self._is_told:
                return super().take_now()
            self._is_told = True
        return command


class _ForgetsCuts(Outbox):
    """A replay cuts the spool as it likes."""

    def cuts(self) -> Sequence[Cut]:
        self.folder.cuts.items.clear()
        self.after = min(self.after, 1)
        return ()


class _ReplaysAlongOtherCuts(Daemon):
    outbox = _ForgetsCuts


class _SpawnsFirst(Daemon):
    """The agent runs before its folder is sure to survive."""

    def settle_folder(self, folder: Folder) -> Task:
        yield 0.0


class _BuriesNothing(Daemon):
    """An id that was asked for in vain, or released, may run all the same."""

    def bury(self, stone: Tombstone) -> Task:
        yield 0.0


class _AdoptsNothing(Daemon):
    """A restarted daemon knows nothing of what an earlier one began."""

    def is_adoptable(self, folder: Folder) -> bool:
        return False


class _KeepsAllLeases(Daemon):
    """The lease is renewed whether or not a conductor is attached."""

    def is_attended(self, execution: Execution) -> bool:
        return True


class _KeepsNoLease(Daemon):
    """The lease is never renewed."""

    def is_attended(self, execution: Execution) -> bool:
        return False


class _SettlesEarly(Delivery):
    """Any acknowledgement settles an attempt that has ended."""

    @property
    def is_settled(self) -> bool:
        return self.end is not None and self.acknowledged > 0


class _ForgetsTheFence(Daemon):
    """Remembers epochs in memory only."""

    def admit(self, request: Request) -> Task:
        yield from super().admit(request)
        self.disk.fences.items.clear()
        self.disk.fences.sync()


class _DismissesNothing(Conductor):
    """What nobody counts on is left as it is."""

    def dismiss(self, machine: "Machine", found: Listed) -> None:
        pass


def _admit_everybody(known: int, epoch: int) -> Admission:
    return Admission.NEWER if epoch > known else Admission.CURRENT


def _begin_again(execution: str, claim: Claim, known: Claim | None, stone: Tombstone | None) -> bool:
    """A Start of a spent id begins."""
    return attaches(execution, claim, known, None)


class _DropsTheEnd(Numbering):
    """What the end of the spool completes is left out."""

    def frames_at(self, cut: Cut) -> Iterator["Frame"]:
        if cut.final:
            self._waiting.clear()
        return super().frames_at(replace(cut))


TWINS = (
    Mutant("acknowledges before the commit", Subject(conductor=_AcknowledgesWhatItReads), hint=8),
    Mutant("reads by time", Subject(watcher=_ReadsByTime)),
    Mutant("reads the last one again", Subject(watcher=_ReadsWhatItReadLast)),
    Mutant("has no fence", Subject(admit=_admit_everybody), hint=6),
    Mutant("forgets the fence in a restart", Subject(daemon=_ForgetsTheFence), hint=71),
    Mutant("resumes one too late", Subject(conversation=_ResumesOneTooLate), hint=6),
    Mutant("tells nothing again", Subject(mailbox=_ForgetsAfterTelling), hint=12),
    Mutant("tells a cancel once", Subject(mailbox=_TellsCancelOnce), hint=74),
    Mutant("replays along other cuts", Subject(daemon=_ReplaysAlongOtherCuts), hint=6),
    Mutant("spawns before the folder is durable", Subject(daemon=_SpawnsFirst)),
    Mutant("forgets tombstones", Subject(daemon=_BuriesNothing), hint=82),
    Mutant("begins what is spent", Subject(attaches=_begin_again), hint=82),
    Mutant("adopts nothing", Subject(daemon=_AdoptsNothing)),
    Mutant("renews every lease", Subject(daemon=_KeepsAllLeases), hint=41),
    Mutant("renews no lease", Subject(daemon=_KeepsNoLease), hint=28),
    Mutant("settles at any acknowledgement", Subject(delivery=_SettlesEarly), hint=84),
    Mutant("drops what the end completes", Subject(numbering=_DropsTheEnd), hint=166),
    Mutant("dismisses nothing", Subject(conductor=_DismissesNothing), hint=66),
)
