"""Runs, steps and attempts as the API shows them: a pure function of what was folded, so that every reader sees the same."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from google.protobuf.struct_pb2 import Struct

from conductor.api.messages.gates import gate_message, pause_message
from conductor.api.messages.names import host_name, run_name, step_name
from conductor.core.decide.endings.loss import Absence
from conductor.core.decide.endings.retry import find_cause
from conductor.core.folded.attempt import Attempt
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step, Wait
from conductor.core.folded.turn import Repair, Turn
from conductor.core.model.events.event_parts import Confinement, FindingCounts, ModelUse, WorkspaceChanges
from conductor.core.model.plan import ChangedFile, LoopPlan, RunPlan, SnapshotPlan
from conductor.core.model.states import Failure, RunState, StepState
from conductor.core.placing.standing import Present
from conductor.store.port import LISTED_QUESTION
from conductor.store.records import RunRow
from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import run_service_pb2 as pb
from servicekit.times import timestamp

BANDS = {
    "small": flow_pb.BAND_SMALL,
    "medium": flow_pb.BAND_MEDIUM,
    "large": flow_pb.BAND_LARGE,
}
MODES = {
    "working_tree": pb.Workspace.MODE_WORKING_TREE,
    "commit": pb.Workspace.MODE_COMMIT,
}
SCOPES = {
    "whole": pb.Workspace.SCOPE_WHOLE,
    "diff": pb.Workspace.SCOPE_DIFF,
    "uncommitted": pb.Workspace.SCOPE_UNCOMMITTED,
}
NOTHING_MORE = Present()
TITLE_CHARACTERS = 80


def run_message(run: Run, sequence: int, inputs: Struct, present: Present = NOTHING_MORE) -> pb.Run:
    """Shows a run with its roster. `sequence` is the position of its last event, or of where it was folded to.

    `present` is what is known beside that.
    """
    message = _plan_message(run.plan, inputs)
    message.state = run_state(run.state)
    message.sequence = sequence
    message.cancelled_by, message.resumed_by = run.cancelled_by, run.resumed_by
    message.trace_id = run.trace.id if run.trace is not None else ""
    message.steps.extend(step_message(run.id, step, present) for step in run.steps.values())
    _put_times(message, run.create_time, run.start_time, run.end_time)
    _put_failure(message, run.id, run.failure if run.is_settled else None)
    _put_counts(message, run.counts, has_findings=any(step.findings for step in run.steps.values()))
    if (pause := pause_message(run)) is not None:
        message.pause.CopyFrom(pause)
    if run.workspace_changes is not None:
        message.workspace_changes.CopyFrom(_workspace_changes(run.workspace_changes))
    return message


def row_message(row: RunRow) -> pb.Run:
    """Shows a run as lists do: without its steps, and of its inputs only the beginning of the question."""
    inputs = Struct()
    if row.plan.question:
        inputs["question"] = row.plan.question[:LISTED_QUESTION]
    message = _plan_message(row.plan, inputs)
    message.state = run_state(row.state)
    message.sequence = row.last_position
    _put_times(message, row.create_time, row.start_time, row.end_time)
    _put_failure(message, row.run, row.failure)
    _put_counts(message, row.counts)
    return message


def step_message(run: str, step: Step, present: Present = NOTHING_MORE) -> pb.Step:
    """Shows a step without its bodies."""
    message = pb.Step(
        name=step_name(run, step.plan.id),
        kind=pb.Step.Kind.Value(f"KIND_{step.plan.shown_kind.upper()}"),
        state=pb.Step.State.Value(f"STATE_{step.state.name}"),
        label=step.plan.label or step.plan.id,
        needs=step.plan.needs,
        reason=step.reason,
        wait=_present_wait(step, present),
        attempts=[attempt_message(run, attempt, present.absences) for attempt in step.attempts],
        ready_time=timestamp(step.ready_time),
        start_time=timestamp(step.start_time),
        end_time=timestamp(step.end_time),
        parent=step_name(run, step.plan.parent) if step.plan.parent else "",
        index=step.plan.index,
        round=step.plan.round,
        items=_items(step),
    )
    if step.reused is not None:
        message.reused_from = step_name(step.reused.run, step.reused.step)
    if step.repair is not None:
        message.repair.CopyFrom(_repair(run, step, step.repair))
    if step.gate is not None:
        message.gate.CopyFrom(gate_message(run, step.gate))
    if step.sub_run is not None:
        message.sub_run = run_name(step.sub_run.run)
    _put_failure(message, run, step.failure)
    _put_counts(message, step.counts, has_findings=bool(step.findings))
    return message


def _present_wait(step: Step, present: Present) -> pb.Wait | None:
    """Shows what a queued step waits for, or what holds up the sub-run of a step."""
    told = present.waits.get(step.plan.id)
    if step.state is StepState.QUEUED:
        return wait_message(told or step.wait)
    return wait_message(told) if told is not None and step.live_sub_run else None


def _items(step: Step) -> pb.Items | None:
    items, work = step.items, step.plan.work
    if items.count is None and not items.begun:
        return None
    return pb.Items(
        count=work.max_rounds if isinstance(work, LoopPlan) else items.count or 0,
        begun=items.begun,
        succeeded=items.succeeded,
        failed=len(items.failed),
        left_out=items.left_out,
    )


def attempt_message(run: str, attempt: Attempt, absences: Sequence[Absence] = ()) -> pb.Attempt:
    """Shows an attempt."""
    absence = next((one for one in absences if one.attempt == attempt.id), None) if attempt.is_live else None
    message = pb.Attempt(
        id=attempt.id,
        number=attempt.number,
        state=pb.Attempt.State.Value(f"STATE_{attempt.state.name}"),
        host=attempt.host,
        agent=attempt.agent,
        placement_reason=attempt.placement_reason,
        create_time=timestamp(attempt.create_time),
        start_time=timestamp(attempt.start_time),
        end_time=timestamp(attempt.end_time),
        exit_code=attempt.end.exit_code,
        signal=attempt.end.signal,
        input_tokens=attempt.input_tokens,
        output_tokens=attempt.output_tokens,
        turns=attempt.turns,
        denial_count=attempt.end.denial_count,
        answer_truncated=attempt.end.answer_truncated,
        answer_note=attempt.end.answer_note,
        confinement=_confinement(attempt.confinement) if attempt.confinement else None,
        model_use=_model_use(attempt.end.model_use) if attempt.end.model_use else None,
        disconnected_time=timestamp(absence.since if absence else None),
        lost_time=timestamp(absence.lost_at if absence else None),
        other_instance=absence is not None and absence.other_instance,
        ended_turns=[_turn(run, turn) for turn in attempt.ended_turns],
    )
    # A row of f9ac01c names no cause, and is retried by its reason: that is shown, too.
    failure = attempt.end.failure and replace(attempt.end.failure, cause=find_cause(attempt.end.failure))
    _put_failure(message, run, failure)
    return message


def disconnections(run: str, absences: Sequence[Absence]) -> list[pb.Disconnection]:
    """Shows which hosts went away from a run, or came back as another instance, by name."""
    messages = []
    for host in sorted({one.host for one in absences}):
        there = [one for one in absences if one.host == host]
        messages.append(
            pb.Disconnection(
                host=host_name(host),
                disconnected_time=timestamp(there[0].since),
                lost_time=timestamp(min(one.lost_at for one in there)),
                steps=[step_name(run, one.step) for one in there],
                other_instance=there[0].other_instance,
            )
        )
    return messages


def run_state(state: RunState) -> pb.Run.State.ValueType:
    """Returns the state's value in the API."""
    return pb.Run.State.Value(f"STATE_{state.name}")


def read_run_states(values: list[Any]) -> tuple[RunState, ...]:
    """Reads the states of a filter. A value that names no state is left out: no run has it."""
    known = {run_state(state): state for state in RunState}
    return tuple(known[value] for value in values if value in known)


def _plan_message(plan: RunPlan, inputs: Struct) -> pb.Run:
    return pb.Run(
        name=run_name(plan.run),
        flow=plan.flow,
        flow_revision=plan.flow_revision,
        inputs=inputs,
        workspace=pb.Workspace(
            path="" if plan.workspace_url else plan.workspace_path,
            revision=plan.workspace_revision,
            mode=MODES.get(plan.workspace_mode, pb.Workspace.MODE_UNSPECIFIED),
            base_revision=plan.workspace_base_revision,
            snapshot=plan.workspace_snapshot,
            url=plan.workspace_url,
            paths=plan.snapshot.paths,
            scope=SCOPES.get(plan.snapshot.scope, pb.Workspace.SCOPE_UNSPECIFIED),
        ),
        snapshot=_snapshot(plan.snapshot),
        band=BANDS.get(plan.band, flow_pb.BAND_UNSPECIFIED),
        band_reason=plan.band_reason,
        labels=dict(plan.labels),
        priority=plan.priority,
        title=plan.title or plan.question[:TITLE_CHARACTERS].partition("\n")[0].strip(),
        retry_of=run_name(plan.retry_of) if plan.retry_of else "",
        plan_hash=plan.plan_hash,
        created_by=plan.created_by,
        parent=step_name(plan.parent.run, plan.parent.step) if plan.parent is not None else "",
    )


def _snapshot(plan: SnapshotPlan) -> pb.Snapshot:
    return pb.Snapshot(
        commit=plan.commit,
        head_commit=plan.head_commit,
        dirty_paths=plan.dirty_paths,
        dirty_count=plan.dirty_count,
        notes=plan.notes,
        base_commit=plan.base_commit,
        scope=SCOPES.get(plan.scope, pb.Workspace.SCOPE_UNSPECIFIED),
        paths=plan.paths,
        changed=map(_changed_file, plan.changed),
        changed_count=plan.changed_count,
    )


def _changed_file(file: ChangedFile) -> pb.ChangedFile:
    return pb.ChangedFile(
        path=file.path,
        old_path=file.old_path,
        status=pb.ChangedFile.Status.Value(f"STATUS_{file.status.upper()}"),
        added_lines=file.added_lines,
        removed_lines=file.removed_lines,
        binary=file.is_binary,
        mode_changed=file.mode_changed,
    )


def _workspace_changes(changes: WorkspaceChanges) -> pb.WorkspaceChanges:
    return pb.WorkspaceChanges(count=changes.count, paths=changes.paths, note=changes.note)


def sub_run_progress(run: str, present: Present) -> list[pb.SubRunProgress]:
    """Shows how far the sub-runs of a run are."""
    return [
        pb.SubRunProgress(
            step=step_name(run, part.step),
            sub_run=run_name(part.run),
            settled_steps=part.settled,
            running_agents=part.running,
            total_steps=part.total,
        )
        for part in present.parts
    ]


def waits(run: str, present: Present) -> list[pb.StepWait]:
    """Shows what queued steps wait for now, where that is more than their last change said."""
    return [pb.StepWait(step=step_name(run, name), wait=wait_message(wait)) for name, wait in present.waits.items()]


def wait_message(wait: Wait | None) -> pb.Wait | None:
    """Shows a wait; nothing where there is none."""
    if wait is None:
        return None
    kind = pb.Wait.Kind.Value(f"KIND_{wait.kind.name}")
    return pb.Wait(kind=kind, text=wait.text, until_time=timestamp(wait.until), pool=wait.pool)


def _turn(run: str, turn: Turn) -> pb.Turn:
    message = pb.Turn(
        number=turn.number,
        state=pb.Turn.State.Value(f"STATE_{turn.state.name}"),
        answer_start=turn.answer_start,
        answer_end=turn.answer_end,
        end_time=timestamp(turn.end_time),
    )
    _put_failure(message, run, turn.failure)
    return message


def _repair(run: str, step: Step, repair: Repair) -> pb.Repair:
    made_for_it = (one.id for one in step.attempts if repair.prompt == one.start.prompt)
    message = pb.Repair(
        attempt=repair.attempt,
        turn=repair.turn,
        create_time=timestamp(repair.time),
        repairing_attempt=next(made_for_it, ""),
    )
    _put_failure(message, run, repair.failure)
    return message


def _confinement(confinement: Confinement) -> pb.Confinement:
    return pb.Confinement(
        mechanism=confinement.mechanism,
        policy_digest=confinement.policy_digest,
        argv=confinement.argv,
        uid=confinement.uid,
        snapshot_fingerprint_before=confinement.snapshot_fingerprint_before,
        snapshot_fingerprint_after=confinement.snapshot_fingerprint_after,
        checks=confinement.checks,
    )


def _model_use(use: ModelUse) -> pb.ModelUse:
    return pb.ModelUse(
        model=use.model,
        requests=use.requests,
        refused=use.refused,
        broken=use.broken,
        metered=use.metered,
        rate_limited=use.rate_limited,
        statuses=dict(use.statuses),
        kept_back=use.kept_back,
    )


def _put_times(message: pb.Run, create: float, start: float | None, end: float | None) -> None:
    for field, time in ((message.create_time, create), (message.start_time, start), (message.end_time, end)):
        if (made := timestamp(time)) is not None:
            field.CopyFrom(made)


def _put_failure(
    message: pb.Run | pb.Step | pb.Attempt | pb.Turn | pb.Repair, run: str, failure: Failure | None
) -> None:
    if failure is not None:
        word: Any = {"class": failure.kind.value}  # a word of Python, too
        shown = pb.Failure(reason=failure.reason, message=failure.message, step=step_name(run, failure.step), **word)
        shown.kind = pb.Failure.Kind.Value(f"KIND_{failure.kind.name}")
        if failure.cause:
            shown.cause = pb.Failure.Cause.Value(f"CAUSE_{failure.cause.name}")
        message.failure.CopyFrom(shown)


def _put_counts(message: pb.Run | pb.Step, counts: FindingCounts, *, has_findings: bool = False) -> None:
    """Shows counts where there are any, and where a step that should find something found nothing."""
    if counts != FindingCounts() or has_findings:
        shown = pb.FindingCounts(
            verified=counts.verified,
            moved=counts.moved,
            missing=counts.missing,
            unread=counts.unread,
            placed=counts.placed,
        )
        message.finding_counts.CopyFrom(shown)
