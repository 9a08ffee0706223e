"""Every flow that ships, and one small flow per kind of step, goes green at every band. Keeps A3 A6 A11.

The agents are played by the test (see `Story`); what is real is everything between them: guards, prompts, checks, folds, report.
"""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf import json_format

from conductor.core.model.states import StepState
from conductor.core.model.work import Checked, Folded, GuardDecided, WorkFailed
from conductor.evaluation.gathering import Gathering
from conductor.flows.checks.validation import judge_message, parsed, problems_of
from conductor.flows.library.layers import built_in, folders
from conductor.flows.library.library import read_library
from conductor.v1.flow_service_pb2 import Flow
from tests.conductor.evaluation.story import RUN, Story, claim, telling
from tests.kit.facts import facts_of

pytestmark = pytest.mark.processes

SHIPPED = sorted(folders(None, {})[-1].flows.glob("*.yaml"))
KINDS = sorted((Path(__file__).parent / "kinds").glob("*.yaml"))
# Those that call others are played whole, in `test_the_spine`, and those with panels by services, in `end_to_end`.
ALONE = [path for path in (*SHIPPED, *KINDS) if not re.search(r"{flow: parts/| panel:", path.read_text())]
BANDS = ("small", "medium", "large")


def flow_in(path: Path) -> Flow:
    flow, _, problems = parsed(path.read_bytes(), str(path))
    assert problems == ()
    assert flow is not None
    return flow


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    async with telling(tmp_path) as told:
        yield told


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "a.py").write_text("one\ntwo\n")
    return folder


def test_the_survey_ships() -> None:
    """Keeps A11."""
    assert "survey" in [path.stem for path in SHIPPED]


@pytest.mark.parametrize("path", [*SHIPPED, *KINDS], ids=lambda path: path.stem)
def test_it_has_no_problem_and_is_the_same_as_a_message(path: Path) -> None:
    """Keeps A3 A11."""
    flow = flow_in(path)
    again = json_format.Parse(json_format.MessageToJson(flow), Flow())

    assert problems_of(path.read_bytes(), str(path), None) == ()
    assert flow.title
    assert flow.description
    assert again == flow
    assert judge_message(flow, "flow", read_library([built_in()])[0]).problems == ()


@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("path", ALONE, ids=lambda path: path.stem)
async def test_it_goes_green(path: Path, band: str, story: Story, workspace: Path) -> None:
    """Keeps A11."""
    flow = flow_in(path)
    await story.begin(flow, workspace, question="What matters?", band=band)
    await play(story, flow, workspace)
    markdown, values = await story.report()

    assert values["outcome"] == "succeeded"
    assert values["counts"]["moved"] == values["counts"]["missing"] == 0
    assert markdown.startswith(f"# {flow.title}\n")


async def play(story: Story, flow: Flow, workspace: Path) -> None:
    """Plays every step whose turn it is; flows list what is needed first."""
    gathering = Gathering(story.store, story.snapshots)
    for step in flow.steps:
        run = await gathering.run(RUN)
        if run.steps[step.id].state is StepState.EXCLUDED:
            continue
        if step.skip_when:
            decided = await story.guard(step.id)
            assert isinstance(decided, GuardDecided)
            if decided.skip:
                continue
        if step.HasField("fold"):
            assert isinstance(await story.fold(step.id), Folded)
        elif step.HasField("gate"):
            await story.gate(step.id)
        elif step.HasField("facts"):
            answer = await story.agent(step.id, result=facts_of(workspace))
            assert isinstance(answer, Checked), answer
        else:
            result = {"findings": [claim(f"Found by {step.id}")]} if flow.name.endswith("merge") else None
            answer = await story.agent(step.id, says=f"{step.id} says", result=result)
            assert not isinstance(answer, WorkFailed)


def test_the_survey_asks_its_lenses_and_a_panel_of_analyzers_side_by_side_and_merges_them_by_its_table() -> None:
    """Keeps A11."""
    flow = flow_in(next(path for path in SHIPPED if path.stem == "survey"))
    *looks, merged = flow.steps

    lenses = sorted(step.agent.parameters["lens"] for step in looks if step.HasField("agent"))
    assert lenses == ["delivery", "docs", "hotspots", "inventory", "structure", "tests"]
    assert [len(step.panel.agents) for step in looks if step.HasField("panel")] == [11]
    assert all(not step.needs and step.on_failure == Flow.ON_FAILURE_CONTINUE for step in looks)
    assert (set(merged.needs), merged.fold.merge.rules) == ({step.id for step in looks}, "survey/rules.toml")


async def test_a_band_and_an_input_choose_the_roster_and_a_result_what_is_skipped(
    story: Story, workspace: Path
) -> None:
    """Keeps A6: the fan-in runs without its skipped branches, and the report shows both reasons."""
    flow = flow_in(next(path for path in KINDS if path.stem == "guards"))
    await story.begin(flow, workspace, band="medium", depth=2)
    await play(story, flow, workspace)
    markdown, values = await story.report()

    assert {step["id"]: step["state"] for step in values["steps"]} == {
        "always": "succeeded",
        "more": "succeeded",
        "everything": "excluded",
        "closer": "skipped",
        "all": "succeeded",
    }
    assert 'exclude_when is true: band != "large" && inputs.depth < 3' in markdown.replace("\\", "")
    assert "skip_when is true: steps.always.findings.size() == 0" in markdown
    assert values["texts"][0]["text"] == "succeeded excluded skipped"
