"""A decision while it is made: drafts of the runs that it touches, and what belongs to no run.

Runs are isolated here. A run is changed through `change` and read through `ask` only. An exception in either throws that run's
draft away and ends that run as FATAL; other runs go on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from conductor.core.decide.run_draft import RunDraft
from conductor.core.folded.room import count_known_steps, count_reserved
from conductor.core.model.commands import (
    AckExecution,
    CancelExecution,
    Command,
    Decision,
    Record,
    Rejected,
    Reply,
)
from conductor.core.model.conductor_state import ConductorState, Host, Limits, Ongoing, Pool
from conductor.core.model.events.attempt_events import AttemptEnded
from conductor.core.model.events.run_events import RunSettled, StepCancelled
from conductor.core.model.inputs import SubRunReported
from conductor.core.model.states import AttemptState, Failure, FailureClass, RunState
from conductor.core.model.truncation import cut_text
from conductor.core.sub_runs.telling import list_open, list_told

if TYPE_CHECKING:
    from conductor.core.model.inputs import Input
    from conductor.core.model.output import Output
    from conductor.core.model.registry import HostChange, HostEntry

INTERNAL = "INTERNAL"
Answer = TypeVar("Answer")


class DecisionDraft:
    """Collects a decision, and the state that follows from it."""

    def __init__(self, state: ConductorState, now: float) -> None:
        self.state = state
        self.now = now
        self.limits: Limits = state.limits
        self.hosts: dict[str, Host] = dict(state.hosts)
        self.registry: dict[str, HostEntry] = dict(state.registry)
        self.host_changes: list[HostChange] = []
        self.pools: Mapping[str, Pool] = state.pools
        self.drafts: dict[str, RunDraft] = {}
        self.backlog: list[Input] = []
        self.stored: list[Record | Output] = []
        self.commands: list[Command] = []
        self.replies: list[Reply] = []
        self.touched_hosts = False
        self.unscheduled = state.unscheduled
        self.timeouts_suspended_until = state.timeouts_suspended_until

    @property
    def room(self) -> int:
        """Returns how many more events the decision may hold."""
        return self.limits.events_per_decision - len(self.stored) - sum(draft.events for draft in self.drafts.values())

    def draft(self, run: str) -> RunDraft | None:
        """Returns the draft of an unfinished run, which is opened at the first call."""
        if run in self.drafts:
            return self.drafts[run]
        ongoing = self.state.ongoing.get(run)
        if ongoing is None:
            return None
        return self.add(RunDraft(ongoing, self.now, self.limits, origin=ongoing))

    def add(self, draft: RunDraft) -> RunDraft:
        """Adds the draft of a run, which shares the number of its steps with its sub-runs."""
        self.drafts[draft.run.id] = draft
        draft.count_free_steps = lambda: self.limits.steps_per_run - self.count_steps(draft.run.plan.root)
        return draft

    def count_steps(self, run: str) -> int:
        """Returns the number of steps of an unfinished run and of its sub-runs, with those that they may still add."""
        one = self.view(run)
        if one is None:
            return 0
        below = (one.run.steps[name].live_sub_run for name in list_open(one.run))
        return count_known_steps(one.run) + count_reserved(one.run) + sum(map(self.count_steps, below))

    def change(self, run: str, how: Callable[[RunDraft], None]) -> bool:
        """Changes an unfinished run; returns whether there is such a run."""
        draft = self.draft(run)
        if draft is None or draft.run.is_settled:
            return False
        try:
            how(draft)
        except Exception as error:  # noqa: BLE001 — no error of one run may reach another (rule 6)
            self._quarantine(draft, cut_text(f"{type(error).__name__}: {error}"))
        return True

    def ask(self, run: str, what: Callable[[], Answer]) -> Answer | None:
        """Returns something about a run without opening it; ends the run and returns None where that fails."""
        try:
            return what()
        except Exception as error:  # noqa: BLE001 — as in `change`
            draft = self.draft(run)
            if draft is not None:
                self._quarantine(draft, cut_text(f"{type(error).__name__}: {error}"))
            return None

    def view(self, run: str) -> Ongoing | RunDraft | None:
        """Returns an unfinished run as it is now, without opening it."""
        return self.drafts.get(run) or self.state.ongoing.get(run)

    def runs(self) -> Iterator[tuple[str, Ongoing | RunDraft]]:
        """Returns every unfinished run as it is now."""
        for run, ongoing in self.state.ongoing.items():
            if run not in self.drafts:
                yield run, ongoing
        for run, draft in self.drafts.items():
            if not draft.run.is_settled:
                yield run, draft

    def settle_parks(self) -> None:
        """Parks pools as their attempts ended, and opens those whose time is over. Every step that waits is told what for."""
        pools = {
            name: replace(
                pool,
                parked_until=_future(pool.parked_until, self.now),
                quiet_until=_future(pool.quiet_until, self.now),
            )
            for name, pool in self.pools.items()
        }
        for draft in self.drafts.values():
            for name, until in draft.parks.items():
                pool = pools.get(name, Pool())
                pools[name] = replace(pool, parked_until=max(pool.parked_until, _future(until, self.now)))
        if pools != self.pools:
            self.pools, self.touched_hosts = pools, True

    def finish(self) -> tuple[Decision, ConductorState]:
        """Returns the decision, and the state after it is stored."""
        drafts = self.drafts.values()
        after = self._state_after()
        stored = (*self.stored, *(one for draft in drafts for one in draft.stored))
        commands = (*self.commands, *(one for draft in drafts for one in draft.commands))
        acks = any(isinstance(command, AckExecution) for command in commands)
        return Decision(
            to_store=stored,
            hosts=tuple(self.host_changes),
            blobs=tuple(blob for draft in drafts for blob in draft.blobs),
            cursors=tuple(pair for draft in drafts for pair in draft.cursors.items()),
            durable=acks or bool(self.stored or self.host_changes) or any(draft.events for draft in drafts),
            to_send=commands,
            replies=(*self.replies, *(one for draft in drafts for one in draft.replies)),
            wake_at=after.wake_at,
        ), after

    def _state_after(self) -> ConductorState:
        ongoing = dict(self.state.ongoing)
        for run, draft in list(self.drafts.items()):
            after = (
                None if draft.run.is_settled else self.ask(run, partial(draft.finished, self.timeouts_suspended_until))
            )
            if after is not None:
                ongoing[run] = after
            elif run in self.drafts:  # a run that failed while it was created leaves nothing
                ongoing.pop(run, None)
        ongoing = {run: one for run, one in ongoing.items() if run in self.drafts or run in self.state.ongoing}
        self.backlog.extend(list_told(self.drafts))
        return ConductorState(
            ongoing=ongoing,
            hosts=self.hosts,
            registry=self.registry,
            pools=self.pools,
            backlog=tuple(self.backlog),
            unscheduled=self.unscheduled,
            timeouts_suspended_until=self.timeouts_suspended_until,
            wake_at=self._wake_at(ongoing),
            limits=self.limits,
        )

    def _wake_at(self, ongoing: Mapping[str, Ongoing]) -> float | None:
        due = [run.wake_at for run in ongoing.values() if run.wake_at is not None]
        due += [pool.parked_until for pool in self.pools.values() if pool.parked_until]
        due += [pool.quiet_until for pool in self.pools.values() if pool.quiet_until]
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
            # It was created in this decision: nothing of it is stored yet, so it is forgotten.
            del self.drafts[run]
            self.replies += replies
            if (parent := broken.run.plan.parent) is not None:
                failure = Failure(INTERNAL, message, FailureClass.FATAL)
                self.backlog.append(SubRunReported(parent.run, parent.step, run, RunState.FAILED, 0, failure))
            return
        try:
            draft = _end_everything(RunDraft(origin, self.now, self.limits, origin=origin), message)
        except Exception:  # noqa: BLE001 — its steps cannot be folded, so the run ends without them
            draft = RunDraft(origin, self.now, self.limits, origin=origin)
        draft.commands = [CancelExecution(track.host, attempt, message) for attempt, track in origin.tracks.items()]
        draft.emit(RunSettled(RunState.FAILED, Failure(INTERNAL, message, FailureClass.FATAL)))
        draft.replies = list(replies)
        draft.freed_place = True
        self.drafts[run] = draft
        # Its sub-runs of this decision are not stored either: the step that names them is not.
        for name in [name for name, one in self.drafts.items() if one.origin is None and _is_part_of(one, run)]:
            del self.drafts[name]


def _is_part_of(draft: RunDraft, run: str) -> bool:
    return draft.run.plan.parent is not None and draft.run.plan.parent.run == run


def _future(until: float, now: float) -> float:
    return until if until > now else 0.0


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
