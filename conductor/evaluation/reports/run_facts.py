"""The facts of a run for its report, as JSON: how its steps ended, and how and where they ran.

Everything that may differ between two runs with the same snapshot and the same answers (times, hosts, attempts, the run's id) is
under `execution`, and nothing else is. So a run that went on after a crash has the same other facts.

A sub-run's steps and attempts stand among those of the run, as parts of the step that made it: `spine.merged`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from conductor.core.decide.settling import judge
from conductor.core.folded.attempt import Attempt
from conductor.core.folded.gate import Gate
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.model.events.event_parts import Confinement, KeptResult, WorkspaceChanges
from conductor.core.model.plan import ForeachPlan
from conductor.core.model.states import Failure, GateState

# A run, and the id of the step that made it; empty for the run that is reported.
Part = tuple[str, Run]
# Of the decisions at gates, so many are in a report, each with so much of its comment.
MAX_DECISIONS, MAX_COMMENT_CHARACTERS = 100, 500


def run_facts(run: Run, changes: WorkspaceChanges | None, sub_runs: Iterable[Part] = ()) -> dict[str, Any]:
    """Returns the facts of a run whose steps have ended, and of its sub-runs, and the changes of its workspace."""
    state, failure = judge(run)
    plan, parts = run.plan, [("", run), *sub_runs]
    return {
        "outcome": str(state),
        "failure": _failure(failure),
        "flow": plan.flow,
        "flow_revision": plan.flow_revision,
        "band": plan.band,
        **({"band_reason": plan.band_reason} if plan.band_reason else {}),
        "question": plan.question,
        "workspace": {
            "path": plan.workspace_path,
            "mode": plan.workspace_mode,
            "revision": plan.workspace_revision,
            "changes": asdict(changes) if changes is not None else None,
        },
        "snapshot": {
            "commit": plan.snapshot.commit,
            "head_commit": plan.snapshot.head_commit,
            "dirty_paths": list(plan.snapshot.dirty_paths),
            "dirty_count": plan.snapshot.dirty_count,
            "notes": list(plan.snapshot.notes),
            "scope": plan.snapshot.scope,
            "base_commit": plan.snapshot.base_commit,
            "base_revision": plan.workspace_base_revision,
            "paths": list(plan.snapshot.paths),
            "changed": [asdict(file) for file in plan.snapshot.changed],
            "changed_count": plan.snapshot.changed_count,
        },
        "steps": [_step(outer, step) for outer, part in parts for step in part.steps.values()],
        "execution": _execution(run, parts),
    }


def list_answering(steps: Sequence[Mapping[str, Any]], finders: Collection[str]) -> list[Mapping[str, Any]]:
    """Returns the facts of the last steps whose texts may be the flow's answer: those that are no lists of findings."""
    needed = {need for step in steps for need in step["needs"]}
    last = [step for step in steps if not step.get("parent") and step["id"] not in needed]
    # A sub-run has an answer beside its findings.
    return [step for step in last if step["kind"] == "flow" or step["id"] not in finders]


def path_in(outer: str, step: str) -> str:
    """Returns the id of a step as a reader of the run sees it."""
    return f"{outer}.{step}" if outer and step else outer or step


def _step(outer: str, step: Step) -> dict[str, Any]:
    last = step.reused or (step.last_attempt.end if step.last_attempt is not None else None)
    return _items(step) | {
        "id": path_in(outer, step.plan.id),
        "label": step.plan.label or step.plan.id,
        "kind": step.plan.shown_kind,
        "parent": path_in(outer, step.plan.parent),
        "needs": [path_in(outer, need) for need in step.plan.needs],
        "state": str(step.state),
        "began": _began(step),
        "reason": step.reason,
        "failure": _failure(step.failure),
        "repair": _repair(step),
        "may_fail": step.is_dispensable,
        "counts": asdict(step.counts),
        "answer_truncated": last.answer_truncated if last is not None else False,
        "answer_note": last.answer_note if last is not None else "",
    }


def _items(step: Step) -> dict[str, Any]:
    """Returns how the items or rounds of a step ended, and which agents a panel went without; nothing without any."""
    items = step.items
    count = items.begun if items.count is None else items.count
    told = {"count": count, "succeeded": items.succeeded, "failed": len(items.failed), "left_out": items.left_out}
    work = step.plan.work
    absent = work.absent if isinstance(work, ForeachPlan) and work.min_success == 0 else ()
    return {**({"items": told} if items.begun else {}), **({"absent": list(absent)} if absent else {})}


def _repair(step: Step) -> dict[str, str] | None:
    told = step.repair.failure.message if step.repair is not None else step.reused.repair if step.reused else ""
    return {"message": told} if told else None


def _began(step: Step) -> bool:
    """Returns whether the step began. A step that asks an agent begins when an attempt starts, not while it waits for a place."""
    if step.plan.agent is None or step.reused is not None:
        return step.start_time is not None
    return any(attempt.start_time is not None for attempt in step.attempts)


def _execution(run: Run, parts: Sequence[Part]) -> dict[str, Any]:
    steps = [(path_in(outer, name), step) for outer, part in parts for name, step in part.steps.items()]
    ends = [step.end_time for step in run.steps.values() if step.end_time is not None]
    return {
        "run": run.id,
        "create_time": _date(run.create_time),
        **_askers(run),
        "seconds": _seconds(run.create_time, max(ends, default=None)),
        "steps": [_span(run, name, step) for name, step in steps if step.start_time is not None],
        "attempts": [_attempt(run, name, attempt) for name, step in steps for attempt in step.attempts],
        "confinement": _confinement(_list_confined(steps)),
        **_decided(steps),
        **_kept(run),
    }


def _askers(run: Run) -> dict[str, str]:
    """Returns who asked for the run, and who cancelled it, as far as it is known."""
    askers = {"created_by": run.plan.created_by, "cancelled_by": run.cancelled_by}
    return {what: who for what, who in askers.items() if who}


def _decided(steps: Sequence[tuple[str, Step]]) -> dict[str, Any]:
    """Returns what people decided at gates, or left undecided until they expired; nothing where no gate was."""
    gates = [
        (name, gate) for name, step in steps for gate in step.gates if gate.decision or gate.state == GateState.EXPIRED
    ]
    told = [_decision(name, gate) for name, gate in gates[:MAX_DECISIONS]]
    return {"decisions": told} if told else {}


def _decision(name: str, gate: Gate) -> dict[str, Any]:
    return {
        "step": name,
        "title": gate.title,
        "outcome": str(gate.decision or gate.state),
        "resolver": gate.resolver,
        **({"resolved_by": gate.by} if gate.by else {}),
        "comment": gate.comment[:MAX_COMMENT_CHARACTERS],
        "time": None if gate.resolve_time is None else _date(gate.resolve_time),
    }


def _kept(run: Run) -> dict[str, Any]:
    """Returns which results were kept from an earlier run; nothing where none was."""
    reused = [_reused(step.reused) for step in run.steps.values() if step.reused is not None]
    return {"reused": reused} if reused else {}


def _reused(kept: KeptResult) -> dict[str, Any]:
    return {"step": kept.step, "run": kept.run, "agent": kept.agent, "host": kept.host, "model": kept.model}


def _span(run: Run, name: str, step: Step) -> dict[str, Any]:
    """Returns when a step began and ended, in seconds after the run was created."""
    begin, end = _seconds(run.create_time, step.start_time), _seconds(run.create_time, step.end_time)
    return {"step": name, "begin": begin, "end": end}


def _attempt(run: Run, name: str, attempt: Attempt) -> dict[str, Any]:
    return {
        "step": name,
        "number": attempt.number,
        "agent": attempt.agent,
        "host": attempt.host,
        "model": attempt.end.model_use.model if attempt.end.model_use else "",
        "state": str(attempt.state),
        "begin": _seconds(run.create_time, attempt.start_time),
        "seconds": _seconds(attempt.start_time, attempt.end_time),
        "input_tokens": attempt.input_tokens,
        "output_tokens": attempt.output_tokens,
        "denial_count": attempt.end.denial_count,
        "failure": _failure(attempt.end.failure),
    }


def _list_confined(steps: Iterable[tuple[str, Step]]) -> Iterator[tuple[str, str, str, str, Confinement]]:
    """Yields step, attempt, host, agent and confinement of every attempt, and of those whose results were kept."""
    for name, step in steps:
        for attempt in step.attempts:
            if attempt.confinement is not None:
                yield name, attempt.id, attempt.host, attempt.agent, attempt.confinement
        if step.reused is not None and step.reused.confinement is not None:
            kept = step.reused
            yield name, kept.attempt, kept.host, kept.agent, step.reused.confinement


def _confinement(confined: Iterable[tuple[str, str, str, str, Confinement]]) -> list[dict[str, Any]]:
    """Returns how attempts were confined, in groups of equal confinement; each attempt may have a user of its own."""
    groups: dict[tuple[object, ...], dict[str, Any]] = {}
    for step, attempt, host, agent, found in confined:
        alike = (found.mechanism, found.policy_digest, _common_checks(found), _is_unchanged(found))
        group = groups.setdefault(alike, _confined(found))
        group["attempts"].append(attempt)
        group["uids"] = sorted({*group["uids"], found.uid})
        group["hosts"] = sorted({*group["hosts"], host})
        group["agents"] = sorted({*group["agents"], agent})
        group["steps"] += [step] if step not in group["steps"] else []
    return list(groups.values())


def _common_checks(found: Confinement) -> tuple[str, ...]:
    """Returns the checks without the attempt's own user, which `uids` name: it would part attempts that are confined alike."""
    return tuple(check.replace(f"user and group: {found.uid},", "user and group: its own,") for check in found.checks)


def _confined(found: Confinement) -> dict[str, Any]:
    return {
        "attempts": [],
        "hosts": [],
        "agents": [],
        "steps": [],
        "mechanism": found.mechanism,
        "policy_digest": found.policy_digest,
        "uid": found.uid,
        "uids": [],
        "checks": list(_common_checks(found)),
        "snapshot_fingerprint_before": found.snapshot_fingerprint_before,
        "snapshot_fingerprint_after": found.snapshot_fingerprint_after,
        "snapshot_unchanged": _is_unchanged(found),
    }


def _is_unchanged(found: Confinement) -> bool | None:
    """Returns whether both fingerprints agree; None where one was not taken."""
    if not found.snapshot_fingerprint_before or not found.snapshot_fingerprint_after:
        return None
    return found.snapshot_fingerprint_before == found.snapshot_fingerprint_after


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {"reason": failure.reason, "message": failure.message, "kind": str(failure.kind), "step": failure.step}


def _date(time: float) -> str:
    """Returns a date such as `2026-11-21T10:33:51Z`."""
    return datetime.fromtimestamp(int(time), UTC).isoformat().replace("+00:00", "Z")


def _seconds(start: float | None, end: float | None) -> float | None:
    return round(end - start, 1) if start is not None and end is not None else None
