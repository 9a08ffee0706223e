"""Plans a sub-run from a worker's answer. The calling run decides everything that the answer leaves open."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from conductor.config import Clocks
from conductor.core.folded.run import Run
from conductor.core.model.plan import ParentStep, RunPlan
from conductor.flows.plans import plan_steps
from conductor.v1 import flow_service_pb2

ID_CHARACTERS = 26
# The alphabet of the other runs' ids, which has no `l`.
_AS_ULID = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789abcdefghjkmnpqrstvwxyz")


def sub_run_id(run: str, step: str) -> str:
    """Returns the id of a step's sub-run: always the same, so that no step ever has two."""
    digest = hashlib.sha256(f"{run}\0{step}".encode()).digest()
    return base64.b32encode(digest).decode()[:ID_CHARACTERS].translate(_AS_ULID)


def plan_sub_run(
    run: Run,
    step: str,
    flow: flow_service_pb2.Flow,
    asked: Mapping[str, Any],
    *,
    clocks: Clocks,
    digests: Sequence[str],
) -> RunPlan:
    """Returns the plan of a step's sub-run. `digests` are those of its bundle and of its inputs."""
    plan, parent = run.plan, run.plan.parent
    return RunPlan(
        run=sub_run_id(run.id, step),
        flow=flow.name,
        flow_revision=flow.revision,
        bundle=digests[0],
        inputs=digests[1],
        workspace_path=plan.workspace_path,
        workspace_mode=plan.workspace_mode,
        workspace_revision=plan.workspace_revision,
        workspace_base_revision=plan.workspace_base_revision,
        workspace_snapshot=plan.workspace_snapshot,
        workspace_url=plan.workspace_url,
        snapshot=plan.snapshot,
        band=asked["band"],
        steps=plan_steps(flow, asked["excluded"], clocks, asked["band"]),
        question=asked["question"],
        labels=plan.labels,
        priority=plan.priority,
        created_by=plan.created_by,
        # Without a timeout of its own it ends when its caller does.
        timeout_seconds=flow.timeout.ToTimedelta().total_seconds() if flow.HasField("timeout") else 0.0,
        max_parallel=flow.max_parallel,
        parent=ParentStep(run.id, step, plan.root, parent.level + 1 if parent is not None else 2),
    )
