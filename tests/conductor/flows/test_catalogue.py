"""The catalogue: where flows come from, what hides what, and that looking executes nothing. Keeps A1 A2 A4."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from conductor.errors import FlowInvalidError, NotFoundError
from conductor.flows.checks.judgement import Judgement, Library
from conductor.flows.checks.validation import judge_message, judge_text
from conductor.flows.library.catalogue import Catalogue
from conductor.flows.library.layers import Layer, folders
from conductor.flows.library.library import Sent, Texts
from conductor.v1.flow_service_pb2 import AgentWork, Flow, FlowWork, FoldWork

GOOD = "title: {title}\nsteps:\n  - id: a\n    fold: {{template: x}}\n"
BUILT_IN = sorted(f"flows/{path.stem}" for path in folders(None, {})[-1].flows.glob("*.yaml"))


class HereJudge:
    """Judges in this process, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def judge_text(self, data: bytes, path: str, library: Library) -> Judgement:
        self.asked.append(Path(path).name)
        return judge_text(data, path, library)

    async def judge_message(self, flow: Flow, path: str, library: Library) -> Judgement:
        return judge_message(flow, path, library)


class Home:
    """A project and a user's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = root / "project"
        self.project_flows = self.project / ".conductor" / "flows"
        self.user_flows = root / "config" / "conductor" / "flows"
        for folder in (self.project_flows, self.user_flows):
            folder.mkdir(parents=True)
        self.judge = HereJudge()

    def catalogue(self) -> Catalogue:
        environment = {"XDG_CONFIG_HOME": str(self.root / "config")}
        return Catalogue(folders(self.project, environment), self.judge)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def names(flows: Sequence[object]) -> list[str]:
    return [flow.flow.name for flow in flows]  # type: ignore[attr-defined]


async def test_the_project_hides_the_user_who_hides_the_built_in_and_the_answer_says_so(home: Home) -> None:
    """Keeps A2."""
    (home.project_flows / "mine.yaml").write_text(GOOD.format(title="of the project"))
    (home.user_flows / "mine.yaml").write_text(GOOD.format(title="of the user"))
    (home.user_flows / "survey.yaml").write_text(GOOD.format(title="the user's survey"))

    mine = (await home.catalogue().get("flows/mine")).flow
    survey = (await home.catalogue().get("flows/survey")).flow

    assert (mine.title, mine.layer) == ("of the project", Flow.LAYER_PROJECT)
    assert mine.source_path == str(home.project_flows / "mine.yaml")
    assert list(mine.shadows) == [str(home.user_flows / "mine.yaml")]
    assert (survey.title, survey.layer) == ("the user's survey", Flow.LAYER_USER)
    assert [Path(path).name for path in survey.shadows] == ["survey.yaml"]


async def test_the_user_s_folder_is_below_home_where_nothing_else_is_said(tmp_path: Path) -> None:
    """Keeps A2."""
    places = folders(None, {"HOME": str(tmp_path)})

    assert [place.layer for place in places] == [Layer.USER, Layer.BUILT_IN]
    assert places[0].flows == tmp_path / ".config" / "conductor" / "flows"
    assert [place.layer for place in folders(None, {})] == [Layer.BUILT_IN]


async def test_listing_executes_nothing_of_a_flow(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps A1."""
    bait = tmp_path / "bait"
    monkeypatch.chdir(tmp_path)
    (home.project_flows / "baited.yaml").write_text(
        f"title: $(touch {bait}) `touch {bait}`\n"
        f"description: !!python/object/apply:os.system ['touch {bait}']\n"
        "steps:\n  - {id: a, fold: {template: x}}\n"
    )
    (home.project_flows / "shell.yaml").write_text(
        f"title: $(touch {bait}); touch {bait}\n"
        "steps:\n"
        "  - id: a\n"
        "    fold:\n"
        "      template: |\n"
        "        {{ ''.__class__.__mro__[1].__subclasses__() }}\n"
        f"        {{{{ cycler.__init__.__globals__.os.system('touch {bait}') }}}}\n"
    )
    (home.project_flows / "python.py").write_text(f"open({str(bait)!r}, 'w')\n")

    listing = await home.catalogue().list()

    assert not bait.exists()
    assert names(listing.flows) == BUILT_IN
    assert {Path(problem.path).name for problem in listing.problems} == {"baited.yaml", "shell.yaml"}


async def test_bad_files_are_problems_and_the_rest_is_listed(home: Home) -> None:
    """Keeps A4."""
    (home.project_flows / "good.yaml").write_text(GOOD.format(title="good"))
    (home.project_flows / "broken.yaml").write_bytes(b"title: [\xff")
    (home.project_flows / "large.yaml").write_bytes(b"#" * (1024 * 1024 + 1))
    (home.project_flows / "Bad Name.yaml").write_text(GOOD.format(title="x"))
    (home.project_flows / "folder.yaml").mkdir()
    os.mkfifo(home.project_flows / "pipe.yaml")
    (home.project_flows / "dangling.yaml").symlink_to("/nonexistent/file")

    listing = await home.catalogue().list()

    assert names(listing.flows) == sorted(["flows/good", *BUILT_IN])
    assert [(Path(p.path).name, p.field) for p in listing.problems] == [
        ("Bad Name.yaml", "name"),
        ("broken.yaml", ""),
        ("large.yaml", ""),
    ]


async def test_a_bad_file_hides_the_good_one_below_it_rather_than_run_something_else(home: Home) -> None:
    """Keeps A4."""
    (home.project_flows / "survey.yaml").write_text("title: [")

    with pytest.raises(FlowInvalidError) as caught:
        await home.catalogue().get("flows/survey")

    assert caught.value.problems[0].path == str(home.project_flows / "survey.yaml")


async def test_an_unknown_flow_is_not_found_and_the_known_are_named(home: Home) -> None:
    with pytest.raises(NotFoundError) as caught:
        await home.catalogue().get("flows/nope")

    assert caught.value.reason == "FLOW_NOT_FOUND"
    assert caught.value.metadata == {"known": ", ".join(BUILT_IN)}
    assert caught.value.hint.startswith("there are flows/")
    with pytest.raises(NotFoundError) as caught:
        await home.catalogue().get("flows/survy")
    assert caught.value.hint.startswith("did you mean 'survey'? There are flows/")


async def test_a_file_is_judged_again_when_it_changed_and_only_then(home: Home) -> None:
    path = home.project_flows / "mine.yaml"
    path.write_text(GOOD.format(title="before"))
    catalogue = home.catalogue()
    await catalogue.list()
    await catalogue.list()
    assert home.judge.asked.count("mine.yaml") == 1

    path.write_text(GOOD.format(title="afterwards"))
    assert (await catalogue.get("flows/mine")).flow.title == "afterwards"

    path.unlink()
    assert names((await catalogue.list()).flows) == BUILT_IN


async def test_a_new_persona_makes_a_bad_flow_good(home: Home) -> None:
    (home.project_flows / "mine.yaml").write_text(
        "steps:\n  - id: a\n    agent: {agents: [survey], persona: me, prompt: x}\n"
    )
    catalogue = home.catalogue()
    assert len((await catalogue.list()).problems) == 1

    personas = home.project / ".conductor" / "personas"
    personas.mkdir()
    (personas / "me.md").write_text("I am me.")

    assert (await catalogue.list()).problems == ()
    assert (await catalogue.get("flows/mine")).texts.personas == {"me": "I am me."}


async def test_two_files_that_claim_one_name_are_one_flow_and_one_shadow(home: Home) -> None:
    (home.project_flows / "a.yaml").write_text("name: flows/twice\n" + GOOD.format(title="first"))
    (home.project_flows / "b.json").write_text(
        '{"name": "flows/twice", "steps": [{"id": "a", "fold": {"template": "x"}}]}'
    )

    flow = (await home.catalogue().get("flows/twice")).flow

    assert flow.title == "first"
    assert list(flow.shadows) == [str(home.project_flows / "b.json")]


async def test_an_inline_flow_is_loaded_or_its_problems_are_raised(home: Home) -> None:
    """Keeps A3."""
    good = Flow(steps=[Flow.Step(id="a", agent=AgentWork(agents=["x"], prompt="look", contracts=["evidence"]))])
    loaded = await home.catalogue().load_inline(good)

    assert loaded.flow.name == "flows/inline"
    assert loaded.texts.contracts["evidence"].startswith("# Evidence")
    with pytest.raises(FlowInvalidError):
        await home.catalogue().load_inline(Flow())


async def test_texts_that_a_client_sends_along_go_before_those_of_the_conductor(home: Home) -> None:
    """Keeps A12."""
    agent = AgentWork(agents=["x"], prompt="look", contracts=["evidence", "mine"], persona="me")
    flow = Flow(steps=[Flow.Step(id="a", agent=agent)])
    sent = Sent(Texts({"me": "I am me.", "unused": "x"}, {"mine": "My rule.", "evidence": "My evidence."}))
    catalogue = home.catalogue()

    texts = (await catalogue.load_inline(flow, sent)).texts

    assert texts == Texts({"me": "I am me."}, {"mine": "My rule.", "evidence": "My evidence."})
    assert (await catalogue.validate_message(flow, "x", sent)).problems == ()
    assert len((await catalogue.validate_message(flow, "x")).problems) == 2


async def test_flows_that_a_client_sends_along_are_those_that_its_flow_calls(home: Home) -> None:
    """Keeps A12 B13."""
    flow = Flow(steps=[Flow.Step(id="a", flow=FlowWork(flow="parts/mine"))])
    mine = Flow(steps=[Flow.Step(id="told", fold=FoldWork(template="done"))])
    broken = Flow(steps=[Flow.Step(id="told", needs=["nothing"], fold=FoldWork(template="done"))])
    catalogue = home.catalogue()

    assert set((await catalogue.load_inline(flow, Sent(flows={"flows/parts/mine": mine}))).calls) == {
        "flows/parts/mine"
    }
    with pytest.raises(FlowInvalidError, match="there is no flow 'parts/mine'"):
        await catalogue.load_inline(flow)
    with pytest.raises(FlowInvalidError, match=r"flows/parts/mine:0: steps.0.*there is no step 'nothing'"):
        await catalogue.load_inline(flow, Sent(flows={"flows/parts/mine": broken}))
