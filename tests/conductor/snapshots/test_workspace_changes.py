"""A file changed by hand in mid-run is a warning, in the report and on the run, for every reader at any time. Keeps B14 and E7."""

import shutil
from pathlib import Path

import pytest

from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running, agent_step, running_conductor
from tests.fakes.execution_host import ExecutionHost, finished, said, started
from tests.kit.waiting import until

pytestmark = pytest.mark.processes


async def report_of(it: Running, run: str) -> pb.Report:
    report: pb.Report = await it.runs.GetReport(pb.GetReportRequest(name=run))
    return report


async def begin(it: Running, host: ExecutionHost) -> str:
    run = await it.create(agent_step("s"))
    await until(lambda: bool(host.executions))
    return run.name


def end(host: ExecutionHost) -> None:
    for execution in host.executions.values():
        execution.tell(said("done"), finished())


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_change_in_mid_run_is_told_by_report_run_and_watch(restarts: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """Keeps I3 too: a conductor that went and came back says the same."""
    host = ExecutionHost((started(),))
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        run = await begin(it, host)
        (it.workspace / "b.txt").write_text("new")
        before = await it.runs.GetRun(pb.GetRunRequest(name=run))
        if not restarts:
            end(host)
            ended = await it.settled(run)
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        if restarts:
            end(host)
            ended = await it.settled(run)
        # It is stored once: what happens to the tree later is no part of the run.
        (it.workspace / "b.txt").unlink()
        report, again = await report_of(it, run), await it.runs.GetRun(pb.GetRunRequest(name=run))

    assert not before.HasField("workspace_changes")
    assert ended.workspace_changes == again.workspace_changes == pb.WorkspaceChanges(count=1, paths=["b.txt"])
    assert ended.state == pb.Run.STATE_SUCCEEDED
    assert "**Warning: 1 path of the workspace changed while the run was at work.**" in report.markdown
    assert dict(report.json["workspace"]["changes"])["paths"][0] == "b.txt"


async def test_a_tree_as_it_was_is_said_to_be(tmp_path: Path) -> None:
    host = ExecutionHost((started(),))
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        run = await begin(it, host)
        end(host)
        ended = await it.settled(run)
        report = await report_of(it, run)

    assert ended.HasField("workspace_changes")
    assert ended.workspace_changes == pb.WorkspaceChanges()
    assert "Warning" not in report.markdown
    assert "- The workspace was still as it was pinned when the run ended" in report.markdown


async def test_a_workspace_that_vanished_fails_no_run(tmp_path: Path) -> None:
    host = ExecutionHost((started(),))
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        run = await begin(it, host)
        shutil.rmtree(it.workspace)
        end(host)
        ended = await it.settled(run)
        report = await report_of(it, run)

    assert ended.state == pb.Run.STATE_SUCCEEDED
    assert "is not on this machine" in ended.workspace_changes.note
    assert "- Whether the workspace changed while the run was at work is not known: " in report.markdown


async def test_a_snapshot_kept_for_a_run_that_never_was_is_let_go_at_the_next_start(tmp_path: Path) -> None:
    """A CreateRun that was killed between keeping its snapshot and being stored."""
    host = ExecutionHost((started(),))
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        run = (await begin(it, host)).removeprefix("runs/")
    refs = tmp_path / "data" / "snapshots" / "refs" / "runs"
    (refs / ("0" * 26)).write_text((refs / run).read_text())
    async with running_conductor(tmp_path, hosts={"alpha": host}):
        kept = [path.name for path in refs.iterdir()]

    assert kept == [run]
