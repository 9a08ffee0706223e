"""CreateRun: every wrong field by name, every id once. Keeps B1 B2 K5 E9 A10 and the error table."""

import asyncio
import os
import uuid
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct

from conductor.api import run_creation
from conductor.api.launching import workspaces
from conductor.config import Limits
from conductor.snapshots.store import SnapshotStore
from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import pool_service_pb2 as pool_pb
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running, agent_step, refusal, running_conductor
from tests.fakes.execution_host import ExecutionHost, finished, started
from tests.kit.repositories import git

pytestmark = pytest.mark.processes

FOLD = flow_pb.Flow.Step(id="end", fold=flow_pb.FoldWork(template="done"))


def request(it: Running, **fields: Any) -> pb.CreateRunRequest:
    asked = pb.CreateRunRequest(
        inline=flow_pb.Flow(name="flows/test", steps=[FOLD]), workspace=pb.Workspace(path=str(it.workspace))
    )
    asked.MergeFrom(pb.CreateRunRequest(**fields))
    return asked


def inputs(**values: Any) -> Struct:
    made = Struct()
    made.update(values)
    return made


@pytest.fixture
async def it(tmp_path: Path) -> Any:
    async with running_conductor(tmp_path) as running:
        yield running


async def test_a_run_is_answered_at_once_with_its_whole_roster(it: Running) -> None:
    run = await it.runs.CreateRun(
        request(it, labels={"team": "x"}, priority=3, inputs=inputs(question="why?", band="large"))
    )

    assert len(run.name) == len("runs/") + 26
    assert run.name == run.name.lower()
    assert [step.name for step in run.steps] == [f"{run.name}/steps/end"]
    assert run.flow == "flows/test"
    assert len(run.flow_revision) == 64
    assert dict(run.inputs.items())["question"] == "why?"
    assert run.band == flow_pb.BAND_LARGE
    assert (dict(run.labels), run.priority) == ({"team": "x"}, 3)
    assert run.workspace.path == os.path.realpath(it.workspace)
    assert len(run.snapshot.commit) == 40
    assert run.HasField("create_time")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"workspace": {"mode": 9}}, "workspace.mode"),
        ({"workspace": {"revision": "x" * 201}}, "workspace.revision"),
        ({"priority": 101}, "priority"),
        ({"priority": -101}, "priority"),
        ({"labels": {str(n): "x" for n in range(33)}}, "labels"),
        ({"labels": {"k" * 129: "x"}}, "labels." + "k" * 128),
        ({"labels": {"k": "x" * 129}}, "labels.k"),
        ({"request_id": "not-a-uuid"}, "request_id"),
        ({"inputs": {"band": "huge"}}, "inputs.band"),
        ({"inputs": {"question": "q" * 64_001}}, "inputs.question"),
        ({"inputs": {"colour": "red"}}, "inputs"),
        ({"workspace": {"path": "relative/path"}}, "workspace.path"),
        ({"library": {"personas": {"big": "x" * 65_537}}}, "library.personas.big"),
        ({"library": {"contracts": {"big": "x" * 262_145}}}, "library.contracts.big"),
        ({"library": {"contracts": {"": "x"}}}, "library.contracts"),
        ({"library": {"personas": {f"p{n}": "x" for n in range(501)}}}, "library.personas"),
    ],
    ids=str,
)
async def test_a_wrong_field_is_named(fields: dict[str, Any], wrong: str, it: Running) -> None:
    asked = request(it)
    if "inputs" in fields:
        asked.inputs.update(fields["inputs"])
    if "path" in fields.get("workspace", {}):
        asked.workspace.path = ""
    asked.MergeFrom(pb.CreateRunRequest(**{name: value for name, value in fields.items() if name != "inputs"}))
    told = await refusal(it.runs.CreateRun(asked))

    assert (told.code, told.reason, told.kind) == ("INVALID_ARGUMENT", "INVALID_REQUEST", "HUMAN_REQUIRED")
    assert [field for field, _ in told.violations] == [wrong]


@pytest.mark.parametrize(
    "given", [{"band": flow_pb.BAND_AUTO}, {"inputs": inputs(band="auto")}], ids=["field", "input"]
)
async def test_auto_chooses_a_band_by_what_the_snapshot_holds_and_says_why(given: dict[str, Any], it: Running) -> None:
    """Keeps A7."""
    asked = request(it, **given)
    asked.inline.band_rules.add(band=flow_pb.BAND_LARGE, when="signals.source_files >= 3")
    asked.inline.steps.add(id="more", exclude_when='band != "large"', fold=flow_pb.FoldWork(template="more"))
    runs = []
    for number in range(1, 4):
        (it.workspace / f"file{number}.py").write_text("pass\n")
        runs.append(await it.runs.CreateRun(asked))

    assert [run.band for run in runs] == [flow_pb.BAND_SMALL, flow_pb.BAND_SMALL, flow_pb.BAND_LARGE]
    assert runs[0].band_reason == "small: none of the flow's 1 rules is true"
    assert runs[2].band_reason.endswith("signals.source_files >= 3 (source_files is 3)")
    assert dict(runs[2].inputs.items())["band"] == "large"
    assert [run.steps[1].state == pb.Step.STATE_EXCLUDED for run in runs] == [True, True, False]
    again = await it.runs.GetRun(pb.GetRunRequest(name=runs[2].name))
    assert (again.band, again.band_reason) == (runs[2].band, runs[2].band_reason)


async def test_all_wrong_fields_are_named_at_once(it: Running) -> None:
    told = await refusal(it.runs.CreateRun(pb.CreateRunRequest(priority=500, request_id="x")))

    assert [field for field, _ in told.violations] == ["flow", "workspace.path", "priority", "request_id"]


@pytest.mark.parametrize("question", ["", "   \n"])
async def test_a_flow_that_needs_a_question_gets_one(question: str, it: Running) -> None:
    asked = request(it, inputs=inputs(question=question))
    asked.inline.question_required = True
    told = await refusal(it.runs.CreateRun(asked))

    assert (told.code, told.reason) == ("INVALID_ARGUMENT", "QUESTION_REQUIRED")
    assert told.violations[0][0] == "inputs.question"


async def test_a_bad_flow_is_refused_with_each_problem(it: Running) -> None:
    asked = request(it)
    asked.inline.steps.add(id="Bad Id")
    asked.inline.steps.add(id="lonely", needs=["missing"], fold=flow_pb.FoldWork(template="x"))
    told = await refusal(it.runs.CreateRun(asked))

    assert (told.code, told.reason) == ("INVALID_ARGUMENT", "FLOW_INVALID")
    assert {field for field, _ in told.violations} >= {"steps[1].id", "steps[2].needs[0]"}


async def test_an_unknown_flow_is_not_found_and_the_known_ones_are_named(it: Running) -> None:
    asked = pb.CreateRunRequest(flow="flows/no-such", workspace=pb.Workspace(path=str(it.workspace)))
    told = await refusal(it.runs.CreateRun(asked))

    assert (told.code, told.reason) == ("NOT_FOUND", "FLOW_NOT_FOUND")
    assert "flows/survey" in dict(told.metadata)["known"]


async def test_a_workspace_outside_the_roots_is_refused_however_it_is_written(tmp_path: Path) -> None:
    """Keeps E9."""
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "link").symlink_to("/etc")
    async with running_conductor(tmp_path, roots=(allowed,)) as it:
        for path in ("/etc", f"{allowed}/../workspace", f"{allowed}/link"):
            asked = request(it)
            asked.workspace.path = path
            told = await refusal(it.runs.CreateRun(asked))
            assert (told.code, told.reason) == ("PERMISSION_DENIED", "ROOT_NOT_ALLOWED"), path
        asked = request(it)
        asked.workspace.path = str(allowed)
        await it.runs.CreateRun(asked)


async def test_the_same_request_id_makes_one_run(it: Running) -> None:
    """Keeps B2."""
    asked = request(it, request_id=str(uuid.uuid4()))
    first = await it.runs.CreateRun(asked)
    again, beside = await asyncio.gather(it.runs.CreateRun(asked), it.runs.CreateRun(asked))
    assert first.name == again.name == beside.name

    asked.priority = 1
    told = await refusal(it.runs.CreateRun(asked))
    assert (told.code, told.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")


async def test_requests_with_one_id_at_the_same_moment_make_one_run(it: Running) -> None:
    asked = request(it, request_id=str(uuid.uuid4()))
    runs = await asyncio.gather(*(it.runs.CreateRun(asked) for _ in range(8)))

    assert len({run.name for run in runs}) == 1
    assert len((await it.runs.ListRuns(pb.ListRunsRequest())).runs) == 1


async def test_a_request_id_is_remembered_over_a_restart(tmp_path: Path) -> None:
    async with running_conductor(tmp_path) as it:
        asked = request(it, request_id=str(uuid.uuid4()))
        first = await it.runs.CreateRun(asked)
    async with running_conductor(tmp_path) as it:
        assert (await it.runs.CreateRun(asked)).name == first.name


async def test_a_caller_who_goes_away_undoes_nothing_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    """Keeps B1: whenever it goes, every run that is found is whole and comes to its end."""
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(), finished()))}) as it:
        flow = flow_pb.Flow(name="flows/test", steps=[agent_step("a"), agent_step("b", "a")])
        asked = pb.CreateRunRequest(inline=flow, workspace=pb.Workspace(path=str(it.workspace)))
        for number in range(24):
            call = it.runs.CreateRun(asked)
            await asyncio.sleep(number * 0.004)  # wherever that is: no moment may be a wrong one
            call.cancel()
        await it.runs.CreateRun(asked)
        found = (await it.runs.ListRuns(pb.ListRunsRequest())).runs
        for run in found:
            ended = await it.settled(run.name)
            assert [step.name for step in ended.steps] == [f"{run.name}/steps/a", f"{run.name}/steps/b"]
            assert ended.state == pb.Run.STATE_SUCCEEDED


async def test_a_request_of_five_mebibytes_is_refused_and_the_service_lives(it: Running) -> None:
    """Keeps K5."""
    told = await refusal(it.runs.CreateRun(request(it, inputs=inputs(question="x" * (5 * 1024 * 1024)))))

    assert (told.code, told.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert "4 MiB" in told.violations[0][1]
    await it.runs.CreateRun(request(it))


async def test_too_many_unfinished_runs_are_refused_with_a_time_to_come_back(tmp_path: Path) -> None:
    async with running_conductor(tmp_path, limits=Limits(unfinished_runs=2, stop_seconds=1)) as it:
        for _ in range(2):
            await it.create(agent_step("s"))
        told = await refusal(it.create(agent_step("s")))

    assert (told.code, told.reason, told.kind) == ("RESOURCE_EXHAUSTED", "NO_CAPACITY", "RECOVERABLE")
    assert told.retry_after_seconds == 5.0


async def test_an_excluded_step_is_settled_from_the_start_and_says_why(it: Running) -> None:
    """Keeps A6."""
    asked = request(it, inputs=inputs(band="small"))
    asked.inline.steps.add(id="deep", exclude_when="band == 'small'", fold=flow_pb.FoldWork(template="x"))
    run = await it.runs.CreateRun(asked)

    assert run.steps[1].state == pb.Step.STATE_EXCLUDED
    assert "band" in run.steps[1].reason


async def test_bytes_that_are_no_request_are_refused(it: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await it.channel.unary_unary("/conductor.v1.RunService/CreateRun")(b"\xff\x01garbage")

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_caller_that_waits_for_one_workspace_takes_no_place_from_others_and_none_waits_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E9: a repository whose configuration includes what never ends holds up its own runs, one at a time, and no others."""
    monkeypatch.setattr(workspaces, "MAX_PLACE_WAIT_SECONDS", 0.2)
    hostile = [tmp_path / f"hostile {number}" for number in range(2)]
    for folder in hostile:
        git(tmp_path, "init", "--quiet", str(folder))
        os.mkfifo(folder / "never")
        git(folder, "config", "include.path", str(folder / "never"))
    async with running_conductor(tmp_path, limits=Limits(creations_at_once=2)) as it:
        asked = [request(it) for _ in range(4)]
        for one in asked:
            one.workspace.path = str(hostile[0])
        waiting = [asyncio.ensure_future(it.runs.CreateRun(one)) for one in asked]
        await asyncio.sleep(0)
        good = await it.runs.CreateRun(request(it))
        last = request(it)
        last.workspace.path = str(hostile[1])
        waiting.append(asyncio.ensure_future(it.runs.CreateRun(last)))
        told = await _refused_for_want_of_a_place(it)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        later = await it.runs.CreateRun(request(it))

    assert good.name != later.name
    assert (told.code, told.reason, told.kind) == ("RESOURCE_EXHAUSTED", "NO_CAPACITY", "RECOVERABLE")
    assert "2 runs are being created" in told.message


async def _refused_for_want_of_a_place(it: Running) -> Any:
    """Creates runs until one is refused: the two that wait for ever hold all places by then."""
    async with asyncio.timeout(8):
        while True:
            call = it.runs.CreateRun(request(it))
            try:
                await call
            except grpc.aio.AioRpcError:
                return await refusal(call)


async def test_a_full_conductor_refuses_before_it_reads_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = []
    pin = SnapshotStore.pin_scope

    async def counted(store: SnapshotStore, *arguments: Any) -> Any:
        pinned.append(arguments)
        return await pin(store, *arguments)

    monkeypatch.setattr(SnapshotStore, "pin_scope", counted)
    async with running_conductor(tmp_path, limits=Limits(unfinished_runs=1)) as it:
        asked = request(it, request_id=str(uuid.uuid4()))
        asked.inline.steps[0].CopyFrom(agent_step("waits"))
        run = await it.runs.CreateRun(asked)
        again = await it.runs.CreateRun(asked)
        full = [await refusal(it.runs.CreateRun(request(it))) for _ in range(3)]

    assert again.name == run.name
    assert {(told.code, told.reason) for told in full} == {("RESOURCE_EXHAUSTED", "NO_CAPACITY")}
    assert len(pinned) == 1


async def test_an_agent_that_no_host_has_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    mistyped = agent_step("look")
    mistyped.agent.agents[:] = ["scripte"]
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(), finished()))}) as it:
        while not (await it.pool.GetHost(pool_pb.GetHostRequest(name="hosts/alpha"))).agents:
            await asyncio.sleep(0.02)
        refused = await refusal(it.create(agent_step("first"), mistyped))

    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "AGENT_UNKNOWN")
    assert "step look asks scripte: did you mean 'scripted'? There are scripted" in refused.message
    assert dict(refused.metadata)["known"] == "scripted"


def test_agents_that_cannot_run_are_not_offered_and_each_list_stands_once() -> None:
    unknown = [("look", ("scripte",)), ("read", ("claud", "x"))]
    told = run_creation.agent_unknown(unknown, ["claude", "codex", "scripted"], ["scripted"])

    asked = "step look asks scripte: did you mean 'scripted'?; step read asks claud or x: did you mean 'claude'?"
    assert str(told) == f"no host has the agent of 2 of the flow's steps: {asked} There are scripted"
    assert told.metadata == {"known": "scripted"}
    assert told.hint == "no host can run these now: claude, codex; conductor hosts says why"


async def test_a_branch_diff_reaches_prompts_guards_and_every_reader(it: Running) -> None:
    """Keeps J4 B14: the base is pinned, the changes are facts, and the report tells both."""
    git(it.workspace, "init", "-q", "-b", "main")
    git(it.workspace, "commit", "-q", "--allow-empty", "-m", "first")
    (it.workspace / "new.py").write_text("one\ntwo\n")
    template = (
        "{{ run.flow }} {{ snapshot.scope }} {{ snapshot.base[:4] }} {% for file in snapshot.changes %}"
        "{{ file.path }} {{ file.status }} {{ file.hunks[0].start }}+{{ file.hunks[0].lines }}{% endfor %}"
    )
    steps = [
        flow_pb.Flow.Step(id="told", fold=flow_pb.FoldWork(template=template)),
        flow_pb.Flow.Step(
            id="left", fold=flow_pb.FoldWork(template="x"), skip_when='snapshot.changes.exists(f, f.path == "new.py")'
        ),
    ]
    asked = request(it, workspace={"base_revision": "HEAD", "paths": ["./new.py"]})
    del asked.inline.steps[:]
    asked.inline.steps.extend(steps)
    run = await it.runs.CreateRun(asked)
    run = await it.settled(run.name)
    told = await it.runs.GetStep(pb.GetStepRequest(name=f"{run.name}/steps/told"))
    report = await it.runs.GetReport(pb.GetReportRequest(name=run.name))

    head = git(it.workspace, "rev-parse", "HEAD").decode().strip()
    assert (run.snapshot.base_commit, run.snapshot.scope) == (head, pb.Workspace.SCOPE_DIFF)
    assert (run.workspace.base_revision, list(run.workspace.paths)) == ("HEAD", ["new.py"])
    assert [(file.path, file.status, file.added_lines) for file in run.snapshot.changed] == [
        ("new.py", pb.ChangedFile.STATUS_ADDED, 2)
    ]
    assert told.text == f"flows/test diff {head[:4]} new.py added 1+2"
    assert run.steps[1].state == pb.Step.STATE_SKIPPED
    assert "only what changed since HEAD: 1 changed file" in report.markdown
    assert f"- Compared with commit `{head}`, where the branch left `HEAD`: `new.py`\n" in report.markdown
    assert report.json["snapshot"]["changed_count"] == 1
