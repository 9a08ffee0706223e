"""A whole decision while it is made: drafts of the runs that it touches, and what concerns no run.

Runs are isolated here: what is done to a run is done through `change`, what is asked of one through `ask`, and an exception there
throws that run's draft away, ends that run as FailureClass.FATAL, and reaches nobody else.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from conductor.core.decide.run_draft import RunDraft
from conductor.core.model.commands import (
    AckExecution,
    CancelExecution,
    Command,
    Decision,
    Record,
    Rejected,
    Reply,
)
from conductor.core.model.conductor_state import ConductorState, Host, Limits, Ongoing
from conductor.core.model.events import AttemptEnded, Failure, RunSettled, StepCancelled
from conductor.core.model.failure import FailureClass
from conductor.core.model.states import AttemptState, RunState
from conductor.core.model.truncation import cut_text

if TYPE_CHECKING:
    from conductor.core.model.inputs import Input
    from conductor.core.model.output import Output

INTERNAL = "INTERNAL"
Answer = TypeVar("Answer")


class DecisionDraft:
    """Collects a decision, and the state that follows from it."""

    def __init__(self, state: ConductorState, now: float) -> None:
        self.state = state
        self.now = now
        self.limits: Limits = state.limits
        self.hosts: dict[str, Host] = dict(state.hosts)
        self.drafts: dict[str, RunDraft] = {}
        self.backlog: list[Input] = []
        self.stored: list[Record | Output] = []
        self.commands: list[Command] = []
        self.replies: list[Reply] = []
        self.touched_hosts = False
        self.unscheduled = state.unscheduled
        self.spared_until = state.spared_until

    @property
    def room(self) -> int:
        """Tells how many more events the decision may hold."""
        return self.limits.events_per_decision - len(self.stored) - sum(draft.events for draft in self.drafts.values())

    def draft(self, run: str) -> RunDraft | None:
        """Gives the draft of an unfinished run, opening it when it is touched first."""
        if run in self.drafts:
            return self.drafts[run]
        ongoing = self.state.ongoing.get(run)
        if ongoing is None:
            return None
        self.drafts[run] = draft = RunDraft(ongoing, self.now, origin=ongoing)
        return draft

    def change(self, run: str, how: Callable[[RunDraft], None]) -> bool:
        """Does something to a run that goes on; gives whether there is such a run."""
        draft = self.draft(run)
        if draft is None or draft.run.is_settled:
            return False
        try:
            how(draft)
        except Exception as error:  # noqa: BLE001 — whatever it is, it is this run's trouble alone (rule 6)
            self._quarantine(draft, cut_text(f"{type(error).__name__}: {error}"))
        return True

    def ask(self, run: str, what: Callable[[], Answer]) -> Answer | None:
        """Gives something about a run without touching it; None where that fails, which is that run's end."""
        try:
            return what()
        except Exception as error:  # noqa: BLE001 — as in `change`
            draft = self.draft(run)
            if draft is not None:
                self._quarantine(draft, cut_text(f"{type(error).__name__}: {error}"))
            return None

    def view(self, run: str) -> Ongoing | RunDraft | None:
        """Gives a run that goes on, as it is now, without touching it."""
        return self.drafts.get(run) or self.state.ongoing.get(run)

    def runs(self) -> Iterator[tuple[str, Ongoing | RunDraft]]:
        """Gives every run that goes on, as it is now."""
        for run, ongoing in self.state.ongoing.items():
            if run not in self.drafts:
                yield run, ongoing
        for run, draft in self.drafts.items():
            if not draft.run.is_settled:
                yield run, draft

    def decide(self) -> tuple[Decision, ConductorState]:
        """Gives the decision, and the state that holds once it is stored."""
        drafts = self.drafts.values()
        after = self._state_after()
        stored = (*self.stored, *(one for draft in drafts for one in draft.stored))
        commands = (*self.commands, *(one for draft in drafts for one in draft.commands))
        acks = any(isinstance(command, AckExecution) for command in commands)
        return Decision(
            to_store=stored,
            blobs=tuple(blob for draft in drafts for blob in draft.blobs),
            cursors=tuple(pair for draft in drafts for pair in draft.cursors.items()),
            durable=acks or bool(self.stored) or any(draft.events for draft in drafts),
            to_send=commands,
            replies=(*self.replies, *(one for draft in drafts for one in draft.replies)),
            wake_at=after.wake_at,
        ), after

    def _state_after(self) -> ConductorState:
        ongoing = dict(self.state.ongoing)
        settled = dict(self.state.settled)
        for run, draft in list(self.drafts.items()):
            after = None if draft.run.is_settled else self.ask(run, partial(draft.finished, self.spared_until))
            if after is not None:
                ongoing[run] = after
            elif run in self.drafts:  # one that broke while it was created leaves nothing
                ongoing.pop(run, None)
                settled[run] = None
        while len(settled) > self.limits.remembered_runs:
            del settled[next(iter(settled))]
        return ConductorState(
            ongoing=ongoing,
            hosts=self.hosts,
            settled=settled,
            backlog=tuple(self.backlog),
            unscheduled=self.unscheduled,
            spared_until=self.spared_until,
            wake_at=self._wake_at(ongoing),
            limits=self.limits,
        )

    def _wake_at(self, ongoing: Mapping[str, Ongoing]) -> float | None:
        due = [run.wake_at for run in ongoing.values() if run.wake_at is not None]
        if self.backlog or self.unscheduled:
            due.append(self.now)
        for run in ongoing.values():
            for track in run.tracks.values():
                host = self.hosts.get(track.host)
                since = None if host is None else host.silence(track.instance)
                if since is not None:
                    due.append(since + track.lost_after)
        return min(due, default=None)

    def _quarantine(self, broken: RunDraft, message: str) -> None:
        run, origin = broken.run.id, broken.origin
        replies = [Rejected(reply.reply, INTERNAL, message) for reply in broken.replies]
        if origin is None:
            # It was created in this very decision: nothing of it is stored, so nothing of it remains.
            del self.drafts[run]
            self.replies += replies
            return
        try:
            draft = _end_everything(RunDraft(origin, self.now, origin=origin), message)
        except Exception:  # noqa: BLE001 — its steps cannot be folded any more: then the run ends without them
            draft = RunDraft(origin, self.now, origin=origin)
        draft.commands = [CancelExecution(track.host, attempt, message) for attempt, track in origin.tracks.items()]
        draft.emit(RunSettled(RunState.FAILED, Failure(INTERNAL, message, FailureClass.FATAL)))
        draft.replies = list(replies)
        draft.freed_place = True
        self.drafts[run] = draft


def _end_everything(draft: RunDraft, message: str) -> RunDraft:
    """Ends every attempt and step of a run that cannot go on."""
    failure = Failure(INTERNAL, message, FailureClass.FATAL)
    for name, step in draft.run.steps.items():
        attempt = step.live_attempt
        if attempt is not None:
            cursor = draft.tracks[attempt.id].cursor
            draft.emit(AttemptEnded(name, attempt.id, AttemptState.CANCELLED, failure, last_sequence=cursor))
        if not step.is_settled:
            draft.emit(StepCancelled(name, message))
    return draft
