"""What clients of any language rely on: names that are taken as they are shown, small lists, bands. Keeps A4 and B6."""

from pathlib import Path
from typing import Any

import pytest

from conductor.api.messages.inputs import read_inputs
from conductor.api.messages.runs import BANDS
from conductor.errors import InvalidRequestError
from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import pool_service_pb2 as pool_pb
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import agent_step, running_conductor
from tests.fakes.execution_host import ExecutionHost, finished, said, started

pytestmark = pytest.mark.processes


async def test_lists_show_the_beginning_of_a_question_and_no_other_input(tmp_path: Path) -> None:
    """Keeps B6: 60 runs of long inputs are one page, not 60."""
    async with running_conductor(tmp_path) as it:
        step = flow_pb.Flow.Step(id="s", fold=flow_pb.FoldWork(template="x"))
        asked = pb.CreateRunRequest(inline=flow_pb.Flow(name="flows/test", steps=[step]))
        asked.inline.input_schema.update({"properties": {"text": {"type": "string"}}})
        asked.workspace.path = str(it.workspace)
        asked.inputs.update({"question": "é" * 15_000, "text": "x" * 200_000})
        names = {(await it.runs.CreateRun(asked)).name for _ in range(12)}
        page = await it.runs.ListRuns(pb.ListRunsRequest())
        whole = await it.runs.GetRun(pb.GetRunRequest(name=page.runs[0].name))

    assert ({run.name for run in page.runs}, page.next_page_token) == (names, "")
    assert {len(run.inputs["question"]) for run in page.runs} == {1_000}
    assert {len(run.inputs) for run in page.runs} == {1}
    assert (len(whole.inputs["question"]), len(whole.inputs["text"])) == (15_000, 200_000)


@pytest.mark.parametrize(
    ("band", "word", "is_now"),
    [
        (flow_pb.BAND_LARGE, None, flow_pb.BAND_LARGE),
        (flow_pb.BAND_LARGE, "large", flow_pb.BAND_LARGE),
        (flow_pb.BAND_UNSPECIFIED, "BAND_LARGE", flow_pb.BAND_LARGE),
        (flow_pb.BAND_UNSPECIFIED, "medium", flow_pb.BAND_MEDIUM),
        (flow_pb.BAND_UNSPECIFIED, None, flow_pb.BAND_SMALL),
    ],
)
def test_a_band_is_a_value_of_the_request_or_a_word_of_its_inputs(
    band: flow_pb.Band.ValueType, word: str | None, is_now: flow_pb.Band.ValueType
) -> None:
    request = pb.CreateRunRequest(band=band)
    if word is not None:
        request.inputs["band"] = word

    assert BANDS[read_inputs(request).get("band", "small")] == is_now


@pytest.mark.parametrize(("band", "word"), [(flow_pb.BAND_LARGE, "small"), (9, None)])
def test_two_bands_and_one_that_there_is_not_are_refused_by_name(band: Any, word: str | None) -> None:
    request = pb.CreateRunRequest(band=band)
    if word is not None:
        request.inputs["band"] = word

    with pytest.raises(InvalidRequestError) as refused:
        read_inputs(request)
    assert [violation.field for violation in refused.value.violations] == ["band"]


async def test_every_name_that_is_shown_is_taken_as_it_is(tmp_path: Path) -> None:
    """Keeps A4: a client reads a name in one answer and asks for it in the next request."""
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(), said("x"), finished()))}) as it:
        run = await it.settled((await it.create(agent_step("talk"))).name)
        step = await it.runs.GetStep(pb.GetStepRequest(name=run.steps[0].name))
        report = await it.runs.GetReport(pb.GetReportRequest(name=run.name))
        again = await it.runs.GetReport(pb.GetReportRequest(name=report.name))
        host = await it.pool.GetHost(pool_pb.GetHostRequest(name=step.attempts[0].host))
        same = await it.pool.GetHost(pool_pb.GetHostRequest(name=host.name))

    assert again == report
    assert host.name == same.name == "hosts/alpha"
