"""CompareRuns over a real conductor: exact sets, within bounds, and notes on what is hard to compare. Keeps F10."""

from pathlib import Path
from typing import Any

import pytest

from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running, agent_step, refusal, running_conductor
from tests.fakes.execution_host import ExecutionHost, finding, started, with_findings

pytestmark = pytest.mark.processes

UNKNOWN = "runs/" + "0" * 26
LINES = "".join(f"line {number}\n" for number in range(1, 41))


async def compared(it: Running, before: pb.Run, after: pb.Run, **fields: Any) -> pb.CompareRunsResponse:
    request = pb.CompareRunsRequest(before=before.name, after=after.name, **fields)
    told: pb.CompareRunsResponse = await it.runs.CompareRuns(request)
    return told


async def test_what_is_new_fixed_and_persistent_is_told_though_lines_and_words_moved(tmp_path: Path) -> None:
    host = ExecutionHost(())
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:

        async def found(*findings: dict[str, Any]) -> pb.Run:
            host.script = (started(), with_findings(*findings))
            run = await it.create(agent_step("look"))
            return await it.settled(run.name)

        (it.workspace / "a.txt").write_text(LINES)
        many = [finding(f"t{number}", "low", number, f"line {number}") for number in range(5, 15)]
        before = await found(finding("mended", "high", 1, "line 1"), finding("stays", "critical", 2, "line 2"), *many)
        (it.workspace / "a.txt").write_text("a line above\n" * 3 + LINES)
        after = await found(
            finding("came", "info", 40, "line 37"), finding("stays, in other words", "low", 5, "line 2"), *many
        )
        both, backwards = await compared(it, before, after), await compared(it, after, before, page_size=2)
        grave = await compared(it, before, after, min_severity=pb.Finding.SEVERITY_HIGH)
        waiting = await it.create(agent_step("look", "other"), agent_step("other"))
        refusals = [
            await refusal(compared(it, before, pb.Run(name=UNKNOWN))),
            await refusal(compared(it, before, waiting)),
            await refusal(compared(it, pb.Run(name="x"), after)),
            await refusal(it.runs.CompareRuns(pb.CompareRunsRequest(before=before.name, after=after.name, min_severity=99))),
        ]  # fmt: skip

    assert [each.title for each in both.new] == ["came"]
    assert [each.title for each in both.fixed] == ["mended"]
    assert {each.title for each in both.persistent} == {"stays, in other words", *(f"t{n}" for n in range(5, 15))}
    assert both.fixed[0].step == f"{before.name}/steps/look"
    assert list(both.notes) == []
    assert (backwards.new_count, backwards.fixed_count, backwards.persistent_count) == (1, 1, 11)
    assert len(backwards.persistent) == 2
    assert (grave.new_count, [each.title for each in grave.fixed]) == (0, ["stays", "mended"])
    assert [told.reason for told in refusals] == ["RUN_NOT_FOUND", "SOURCE_NOT_SETTLED", *["INVALID_REQUEST"] * 2]
