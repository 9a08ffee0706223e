"""The hash of a run's plan: of everything that decides what the run does, and of nothing else."""

import hashlib
from dataclasses import replace

from conductor.core.model.plan import RunPlan
from conductor.errors import PreconditionError
from conductor.store.codec import encode


def hash_plan(plan: RunPlan) -> str:
    """Returns the hash: of the flow's revision, the bundle, the inputs, the band, the snapshot and the steps with their limits."""
    snapshot = replace(plan.snapshot, pin_time=0.0)
    covered = replace(
        plan,
        run="",
        labels=(),
        priority=0,
        title="",
        question="",
        retry_of="",
        plan_hash="",
        created_by="",
        snapshot=snapshot,
    )
    return hashlib.sha256(encode(covered).encode()).hexdigest()


def require_plan(wanted: str, plan: RunPlan) -> None:
    """Raises PreconditionError where a caller asks for another plan than this one."""
    if wanted and wanted != plan.plan_hash:
        raise PreconditionError(
            "PLAN_STALE",
            f"the plan is not {wanted[:12]} any more but {plan.plan_hash[:12]}: the repository, the flow or an input changed",
            hint="look at the new plan:  conductor plan FLOW PATH",
        )
