"""Restores the state after a restart, and the commands that may not have been sent.

The conductor may have died after it stored a decision and before it sent the commands. So every command that the state implies is
sent again. Each may be repeated: hosts know attempts by id, and workers are pure. This module decides nothing: the first call of
`advance` does, which is due at once.
"""

from collections.abc import Mapping
from dataclasses import replace

from conductor.core.conversation import ExecutionCommand
from conductor.core.decide.questions import list_pending
from conductor.core.decide.settling import why_stopped
from conductor.core.decide.turns import pending_frames
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.model.commands import (
    AckExecution,
    CancelExecution,
    Evaluate,
    ResumeExecution,
    StartExecution,
)
from conductor.core.model.conductor_state import ConductorState, Host, Limits, Ongoing, Queued, Track
from conductor.core.model.registry import HostEntry
from conductor.core.model.states import AttemptState, StepState
from conductor.core.placing.demand import demand_of
from conductor.core.placing.memory import remember
from conductor.core.placing.slots import held_pool
from conductor.core.sub_runs.telling import repeat_told


def restore(
    runs: Mapping[str, Run],
    cursors: Mapping[str, int],
    now: float,
    *,
    damaged: Mapping[str, str] | None = None,
    ended: Mapping[str, Run] | None = None,
    limits: Limits | None = None,
    registry: Mapping[str, HostEntry] | None = None,
) -> ConductorState:
    """Returns the state after a restart, with the unfinished runs in order of creation.

    `cursors` holds the last stored sequence of each attempt, `damaged` why a run could not be folded; the first decision ends such
    a run. `ended` holds the sub-runs that have ended and whose steps have not (see `sub_runs.telling`), `registry` the hosts to
    drive. The caller sends the commands of `recover`, then calls `advance` without input.
    """
    limits = limits or Limits()
    ongoing = {run: _restore_run(one, cursors, now, limits) for run, one in runs.items()}
    used = {track.host for one in ongoing.values() for track in one.tracks.values()}
    return ConductorState(
        ongoing=ongoing,
        hosts={
            host: Host(host, connected=False, silent_since=now, removed=registry is not None and host not in registry)
            for host in sorted(used)
        },
        registry=registry or {},
        pools=remember(runs.values(), now),
        damaged=dict(damaged or {}),
        backlog=tuple(repeat_told(runs, ended or {}, damaged or {})),
        unscheduled=True,
        timeouts_suspended_until=now + limits.late_grace if ongoing else 0.0,
        wake_at=now,
        limits=limits,
    )


def recover(state: ConductorState) -> tuple[ExecutionCommand | Evaluate, ...]:
    """Returns every command that a restored state implies."""
    return tuple(command for one in state.ongoing.values() for command in _recover_run(one))


def recover_host(state: ConductorState, host: str) -> tuple[ExecutionCommand, ...]:
    """Returns the commands for one host that a state implies: for a link that was opened while the conductor runs."""
    commands = (command for command in recover(state) if not isinstance(command, Evaluate) and command.host == host)
    return tuple(
        replace(command, repeated=True) if isinstance(command, StartExecution) else command for command in commands
    )


def _restore_run(run: Run, cursors: Mapping[str, int], now: float, limits: Limits) -> Ongoing:
    tracks: dict[str, Track] = {}
    queue: dict[str, Queued] = {}
    for name, step in run.steps.items():
        attempt = step.live_attempt
        if attempt is not None:
            cursor = cursors.get(attempt.id, 0)
            ack_at = now + limits.ack_interval if cursor else None
            lost_after = (step.plan.agent.lost_after_seconds if step.plan.agent else 0.0) or limits.lost_after
            is_stopped = bool(why_stopped(run, step))
            tracks[attempt.id] = Track(
                attempt.host,
                lost_after,
                attempt.instance,
                cursor,
                ack_at=ack_at,
                cancelled=is_stopped,
                pool=held_pool(attempt),
            )
        if step.state is StepState.QUEUED:
            queue[name] = Queued(step.not_before, demand_of(step))
    queue = dict(sorted(queue.items(), key=lambda entry: -run.steps[entry[0]].plan.priority))
    # The last decision may have left steps for the next one, so each is looked at once.
    dirty = tuple(name for name, step in run.steps.items() if not step.is_settled)
    return Ongoing(run, tracks, queue, dirty, wake_at=now)


def _recover_run(one: Ongoing) -> list[ExecutionCommand | Evaluate]:
    attempts = [command for step in one.run.steps.values() for command in _recover_attempts(one, step)]
    return [*attempts, *pending_frames(one.run), *map(Evaluate, list_pending(one.run))]


def _recover_attempts(one: Ongoing, step: Step) -> list[ExecutionCommand]:
    commands: list[ExecutionCommand] = []
    for attempt in step.attempts:
        track = one.tracks.get(attempt.id)
        if track is None:
            if attempt.end.last_sequence and attempt.state is not AttemptState.LOST:
                commands.append(AckExecution(attempt.host, attempt.id, attempt.end.last_sequence, finished=True))
        elif track.cancelled:
            # No Start: a host that was never asked must not be. Resume attaches, or blocks the id.
            commands.append(ResumeExecution(attempt.host, attempt.id, track.cursor, attempt.instance))
            commands.append(CancelExecution(attempt.host, attempt.id, why_stopped(one.run, step)))
        elif attempt.state is AttemptState.STARTING and track.cursor == 0:
            commands.append(StartExecution(attempt.host, attempt.start, attempt.instance))
        else:
            commands.append(ResumeExecution(attempt.host, attempt.id, track.cursor, attempt.instance))
    return commands
