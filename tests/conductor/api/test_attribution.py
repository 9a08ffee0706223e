"""Who asked for what: stored with each change, shown to readers, and not to be claimed by others. Keeps K12, H4."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import gate_service_pb2 as gate_pb
from conductor.v1 import run_service_pb2 as pb
from conductor.v1.flow_service_pb2 import GateWork
from tests.conductor.api.test_access import bearer, make
from tests.conductor.running_conductor import Running, agent_step, refusal, running_conductor

pytestmark = pytest.mark.processes


async def _gate(it: Running, run: str) -> gate_pb.Gate:
    async for told in it.runs.WatchRun(pb.WatchRunRequest(name=run)):
        if told.HasField("run") and told.run.state == pb.Run.STATE_PAUSED:
            break
    (gate,) = (await it.gates.ListGates(gate_pb.ListGatesRequest(parent=run))).gates
    return gate


async def test_each_change_of_a_run_is_kept_with_the_caller_who_asked_for_it_over_a_restart(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with running_conductor(tmp_path) as it:
            tokens = {name: await make(it, name, "operator") for name in ("ann", "ben", "eve")}
            flow = flow_pb.Flow(name="flows/test", steps=[agent_step("waits")])
            asked = pb.CreateRunRequest(inline=flow, workspace=pb.Workspace(path=str(it.workspace)))
            run = (await it.runs.CreateRun(asked, **bearer(tokens["ann"]))).name
            paused = await it.runs.PauseRun(pb.PauseRunRequest(name=run), **bearer(tokens["ben"]))
            resumed = await it.runs.ResumeRun(pb.ResumeRunRequest(name=run), **bearer(tokens["eve"]))
            await it.runs.CancelRun(pb.CancelRunRequest(name=run), **bearer(tokens["ben"]))
            ended = await it.settled(run)
            again = await it.runs.RetryRun(pb.RetryRunRequest(name=run), **bearer(tokens["eve"]))
            report = await it.runs.GetReport(pb.GetReportRequest(name=run))
        async with running_conductor(tmp_path) as it:
            listed = {one.name: one for one in (await it.runs.ListRuns(pb.ListRunsRequest())).runs}
            found = await it.runs.GetRun(pb.GetRunRequest(name=run))
            await it.runs.DeleteRun(pb.DeleteRunRequest(name=run))
            gone = await refusal(it.runs.GetRun(pb.GetRunRequest(name=run)))

    assert paused.pause.paused_by == "token:ben"
    assert resumed.resumed_by == "token:eve"
    assert (ended.created_by, ended.cancelled_by, ended.resumed_by) == ("token:ann", "token:ben", "token:eve")
    assert found == ended
    assert (listed[run].created_by, listed[again.name].created_by) == ("token:ann", "token:eve")
    assert "UTC by token:ann, cancelled by token:ben" in report.markdown
    assert gone.hint.endswith("by request of socket")
    told = {line["event"]: line.get("by") for line in logs if line.get("run") == run.removeprefix("runs/")}
    assert (told["run_created"], told["run_cancel_requested"]) == ("token:ann", "token:ben")
    assert (told["run_paused"], told["run_resumed"]) == ("token:ben", "token:eve")


@pytest.mark.parametrize(
    ("has_token", "resolver", "resolved_by"), [(True, "token:ann", "token:ann"), (False, "ben", "socket")]
)
async def test_a_claim_counts_at_a_gate_only_where_nothing_proves_who_decides(
    *, has_token: bool, resolver: str, resolved_by: str, tmp_path: Path
) -> None:
    async with running_conductor(tmp_path) as it:
        token = await make(it, "ann", "operator")
        run = await it.create(flow_pb.Flow.Step(id="plan", gate=GateWork(show="Go on?")))
        gate = await _gate(it, run.name)
        request = gate_pb.ResolveGateRequest(
            name=gate.name, decision=GateWork.DECISION_REJECT, digest=gate.digest, resolver="ben"
        )
        decided = await it.gates.ResolveGate(request, **bearer(token if has_token else ""))
        ended = await it.settled(run.name)

    assert (decided.resolver, decided.resolved_by) == (resolver, resolved_by)
    assert ended.failure.message == f"The gate was rejected by {resolver}."


async def test_a_plan_is_the_same_whoever_asks_for_it(tmp_path: Path) -> None:
    async with running_conductor(tmp_path) as it:
        token = await make(it, "ann", "operator")
        flow = flow_pb.Flow(name="flows/test", steps=[agent_step("waits")])
        asked = pb.CreateRunRequest(inline=flow, workspace=pb.Workspace(path=str(it.workspace)))
        plan = await it.runs.PlanRun(pb.PlanRunRequest(run=asked))
        asked.plan_hash = plan.plan_hash
        run = await it.runs.CreateRun(asked, **bearer(token))

    assert run.created_by == "token:ann"
