"""Reading and stopping runs over the real server. Keeps B4 B5 B6 B7 G2 F4 F6 and the error table."""

import asyncio
import json
import random
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from agenthost.v1 import execution_service_pb2 as host_pb
from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running, agent_step, refusal, running_conductor
from tests.fakes.execution_host import ExecutionHost, finding, finished, said, started, with_findings
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

UNKNOWN = f"runs/{'0' * 26}"


async def read_all(it: Running, **fields: Any) -> tuple[bytes, list[pb.ReadOutputResponse]]:
    pieces = [piece async for piece in it.runs.ReadOutput(pb.ReadOutputRequest(**fields))]
    return "".join(piece.text for piece in pieces).encode(), pieces


async def test_a_step_shows_prompt_text_result_and_attempts_after_a_restart_too(tmp_path: Path) -> None:
    """Keeps B5."""
    script = (started(), said("It is "), said("fine."), with_findings(finding("t", "high", 1, "one")))
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(script)}) as it:
        run = await it.create(agent_step("look", label="Look"))
        await it.watch(run.name)
        shown = await it.runs.GetStep(pb.GetStepRequest(name=f"{run.name}/steps/look"))
    async with running_conductor(tmp_path) as it:
        again = await it.runs.GetStep(pb.GetStepRequest(name=f"{run.name}/steps/look"))

    assert shown.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    assert shown.state == pb.Step.STATE_SUCCEEDED
    assert "do look" in shown.prompt
    assert shown.text == "It is fine."
    assert shown.label == "Look"
    (attempt,) = shown.attempts
    assert (attempt.host, attempt.agent, attempt.exit_code, attempt.number) == ("alpha", "scripted", 0, 1)
    assert attempt.placement_reason
    assert attempt.confinement.mechanism == "fake 1"
    assert attempt.id == f"{run.name.removeprefix('runs/')}-look-1"
    result = json_format.MessageToDict(shown.result)
    assert result["findings"][0]["status"] == "verified"
    assert (shown.finding_counts.verified, shown.finding_counts.missing) == (1, 0)


async def test_any_piece_of_output_is_the_same_as_in_the_whole(tmp_path: Path) -> None:
    """Keeps G2: random pieces, joined, are the whole; no piece cuts a character."""
    whole = "".join(random.Random(1).choice("aé€😀\n") for _ in range(3000))
    script = (started(), *(said(whole[at : at + 7]) for at in range(0, len(whole), 7)), finished())
    chance = random.Random(2)
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(script)}) as it:
        run = await it.create(agent_step("s"))
        await it.watch(run.name)
        name = f"{run.name}/steps/s"
        data = whole.encode()
        assert (await read_all(it, name=name))[0] == data

        pieces, offset = b"", 0
        while offset < len(data):
            piece, told = await read_all(it, name=name, offset=offset, limit=chance.randrange(4, 200))
            assert told[0].offset == offset
            assert (told[0].total_bytes, told[0].complete) == (len(data), True)
            pieces += piece
            offset += len(piece)
        assert pieces == data

        for offset in range(40):
            piece, told = await read_all(it, name=name, offset=offset, limit=9)
            assert offset <= told[0].offset <= offset + 3
            assert data[told[0].offset :].startswith(piece)
            assert len(piece) + told[0].offset - offset <= 9


async def test_output_beyond_its_end_and_of_what_was_never_said_is_empty(tmp_path: Path) -> None:
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(), said("abc"), finished()))}) as it:
        run = await it.create(agent_step("s"), agent_step("later", "s", on_failure=flow_pb.Flow.ON_FAILURE_CONTINUE))
        await it.watch(run.name)
        name = f"{run.name}/steps/s"
        data, (piece,) = await read_all(it, name=name, offset=10)
        assert (data, piece.total_bytes, piece.complete) == (b"", 3, True)
        data, (piece,) = await read_all(it, name=name, channel=pb.Output.CHANNEL_REASONING)
        assert (data, piece.total_bytes) == (b"", 0)

    async with running_conductor(tmp_path) as it:
        waiting = await it.create(agent_step("s"))
        data, (piece,) = await read_all(it, name=f"{waiting.name}/steps/s")
        assert (data, piece.complete) == (b"", False)


async def test_output_that_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    async with running_conductor(tmp_path) as it:
        run = await it.create(agent_step("s"))
        name = f"{run.name}/steps/s"
        told = await refusal(it.runs.ReadOutput(pb.ReadOutputRequest(name=name, offset=-1, limit=-1)))
        assert [field for field, _ in told.violations] == ["offset", "limit"]
        told = await refusal(it.runs.ReadOutput(pb.ReadOutputRequest(name=name, channel=99)))
        assert told.violations[0][0] == "channel"
        told = await refusal(it.runs.ReadOutput(pb.ReadOutputRequest(name=name, attempt="x")))
        assert (told.code, told.reason) == ("NOT_FOUND", "ATTEMPT_NOT_FOUND")


async def test_what_there_is_not_is_not_found_and_a_bad_name_is_a_bad_field(tmp_path: Path) -> None:
    async with running_conductor(tmp_path) as it:
        run = await it.create(agent_step("s"))
        missing = [
            (it.runs.GetRun(pb.GetRunRequest(name=UNKNOWN)), "RUN_NOT_FOUND"),
            (it.runs.CancelRun(pb.CancelRunRequest(name=UNKNOWN)), "RUN_NOT_FOUND"),
            (it.runs.GetReport(pb.GetReportRequest(name=UNKNOWN)), "RUN_NOT_FOUND"),
            (it.runs.ListFindings(pb.ListFindingsRequest(parent=UNKNOWN)), "RUN_NOT_FOUND"),
            (it.runs.GetStep(pb.GetStepRequest(name=f"{UNKNOWN}/steps/s")), "RUN_NOT_FOUND"),
            (it.runs.GetStep(pb.GetStepRequest(name=f"{run.name}/steps/t")), "STEP_NOT_FOUND"),
        ]
        for call, reason in missing:
            told = await refusal(call)
            assert (told.code, told.reason) == ("NOT_FOUND", reason)
        malformed = [
            (it.runs.GetRun(pb.GetRunRequest(name="runs/../x")), "name"),
            (it.runs.GetRun(pb.GetRunRequest()), "name"),
            (it.runs.ListFindings(pb.ListFindingsRequest(parent="x")), "parent"),
            (it.runs.GetStep(pb.GetStepRequest(name=run.name)), "name"),
        ]
        for call, field in malformed:
            told = await refusal(call)
            assert told.violations[0][0] == field


async def test_every_run_is_listed_once_while_new_ones_arrive(tmp_path: Path) -> None:
    """Keeps B6."""
    step = flow_pb.Flow.Step(id="s", fold=flow_pb.FoldWork(template="x"))
    async with running_conductor(tmp_path) as it:
        there = [(await it.create(step, labels={"n": str(n % 2)})).name for n in range(12)]
        seen: list[str] = []
        token = ""
        while True:
            page = await it.runs.ListRuns(pb.ListRunsRequest(page_size=5, page_token=token))
            seen += [run.name for run in page.runs]
            assert all(not run.steps for run in page.runs)
            token = page.next_page_token
            if not token:
                break
            await it.create(step)
        assert seen == there[::-1]

        odd = await it.runs.ListRuns(pb.ListRunsRequest(labels={"n": "1"}))
        assert [run.name for run in odd.runs] == there[1::2][::-1]
        first = await it.runs.ListRuns(pb.ListRunsRequest(page_size=1))
        told = await refusal(it.runs.ListRuns(pb.ListRunsRequest(flow="flows/x", page_token=first.next_page_token)))
        assert told.violations[0][0] == "page_token"
        told = await refusal(it.runs.ListRuns(pb.ListRunsRequest(page_size=-1)))
        assert told.violations[0][0] == "page_size"
        assert len((await it.runs.ListRuns(pb.ListRunsRequest(page_size=2**31 - 1))).runs) == len(there) + 2


async def test_runs_are_filtered_by_flow_state_text_workspace_and_time(tmp_path: Path) -> None:
    """Keeps B6."""
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(), finished()))}) as it:
        asked = pb.CreateRunRequest(
            inline=flow_pb.Flow(name="flows/other", steps=[agent_step("s")]),
            workspace=pb.Workspace(path=str(it.workspace)),
        )
        asked.inputs.update({"question": "Where is the Größe?"})
        one = await it.runs.CreateRun(asked)
        await it.watch(one.name)
        await it.create(agent_step("s"))

        async def listed(**fields: Any) -> list[str]:
            return [run.name for run in (await it.runs.ListRuns(pb.ListRunsRequest(**fields))).runs]

        assert await listed(flow="flows/other") == [one.name]
        assert await listed(text="größe") == [one.name]
        assert one.name in await listed(states=[pb.Run.STATE_SUCCEEDED])
        assert await listed(states=[pb.Run.STATE_CANCELLED]) == []
        assert len(await listed(workspace_path=str(it.workspace))) == 2
        assert await listed(create_time_before=one.create_time) == []
        assert len(await listed(create_time_from=one.create_time)) == 2


async def test_a_cancelled_run_says_so_at_once_and_its_end_is_true(tmp_path: Path) -> None:
    """Keeps B7."""
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(), said("part")))}) as it:
        run = await it.create(agent_step("s"), agent_step("t", "s"))
        host = it.hosts["alpha"]
        await until(lambda: len(host.executions) == 1)
        request_id = str(uuid.uuid4())
        asked = pb.CancelRunRequest(name=run.name, reason="enough", request_id=request_id)
        answer = await it.runs.CancelRun(asked)
        assert answer.state in {pb.Run.STATE_CANCELLING, pb.Run.STATE_CANCELLED}
        again = await it.runs.CancelRun(asked)
        assert again.name == run.name
        told = await it.watch(run.name)
        ended = told[-1].run

        assert ended.state == pb.Run.STATE_CANCELLED
        assert {step.state for step in ended.steps} == {pb.Step.STATE_CANCELLED}
        assert sum(message.run.HasField("end_time") for message in told) == 1
        assert (await read_all(it, name=f"{run.name}/steps/s"))[0] == b"part"
        assert (await it.runs.CancelRun(asked)).state == pb.Run.STATE_CANCELLED  # the same request, the same answer
        late = await refusal(it.runs.CancelRun(pb.CancelRunRequest(name=run.name)))
        assert (late.code, late.reason) == ("FAILED_PRECONDITION", "RUN_NOT_RUNNING")


async def test_cancels_that_race_with_the_end_leave_one_end(tmp_path: Path) -> None:
    """Keeps B4."""
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(),))}) as it:
        runs = [await it.create(agent_step("s")) for _ in range(15)]
        host = it.hosts["alpha"]

        async def finish(run: pb.Run) -> None:
            name = f"{run.name.removeprefix('runs/')}-s-1"
            ended = asyncio.ensure_future(it.settled(run.name))
            await until(lambda: name in host.executions or ended.done())  # it may be cancelled before it is started
            if name in host.executions and not host.executions[name].frames[-1].HasField("finished"):
                host.executions[name].tell(finished())
            await ended

        async def cancel(run: pb.Run) -> None:
            await asyncio.gather(
                *(it.runs.CancelRun(pb.CancelRunRequest(name=run.name)) for _ in range(5)), return_exceptions=True
            )

        await asyncio.gather(*(act(run) for run in runs for act in (finish, cancel)))
        for run in runs:
            told = await it.watch(run.name)
            ends = [message.run.state for message in told if message.run.HasField("end_time")]
            assert len(ends) == 1
            assert ends[0] in {pb.Run.STATE_SUCCEEDED, pb.Run.STATE_CANCELLED}


async def test_findings_are_listed_most_severe_first_in_pages_and_by_filter(tmp_path: Path) -> None:
    """Keeps F4."""
    script = (
        started(),
        with_findings(
            finding("low", "low", 1, "one"),
            finding("moved", "critical", 1, "two"),
            finding("made up", "high", 1, "three"),
            finding("info", "info", 2, "two"),
        ),
    )
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(script)}) as it:
        run = await it.create(agent_step("s"))
        await it.watch(run.name)

        async def titles(**fields: Any) -> list[str]:
            answer = await it.runs.ListFindings(pb.ListFindingsRequest(parent=run.name, **fields))
            return [each.title for each in answer.findings]

        assert await titles() == ["moved", "made up", "low", "info"]
        assert await titles(min_severity=pb.Finding.SEVERITY_HIGH) == ["moved", "made up"]
        assert await titles(statuses=[pb.Evidence.STATUS_VERIFIED]) == ["low", "info"]
        first = await it.runs.ListFindings(pb.ListFindingsRequest(parent=run.name, page_size=3))
        rest = await titles(page_size=3, page_token=first.next_page_token)
        assert rest == ["info"]
        told = await refusal(
            it.runs.ListFindings(
                pb.ListFindingsRequest(
                    parent=run.name, min_severity=pb.Finding.SEVERITY_LOW, page_token=first.next_page_token
                )
            )
        )
        assert told.violations[0][0] == "page_token"

    moved, invented = first.findings[0], first.findings[1]
    assert (moved.status, moved.evidence[0].actual_start_line) == (pb.Evidence.STATUS_MOVED, 2)
    assert invented.status == pb.Evidence.STATUS_MISSING
    assert moved.step == f"{run.name}/steps/s"
    assert len(moved.id) == 16


async def test_a_page_of_long_findings_is_shorter_than_asked_and_none_is_left_out(tmp_path: Path) -> None:
    """Keeps K5: an answer stays below what clients take."""
    long = [finding(f"{number}", "low", 1, f"{number}" + "x" * 3_900) for number in range(60)]
    for each in long:
        each["evidence"] *= 5
    scripts = [(started(), with_findings(*long[at : at + 30])) for at in (0, 30)]
    hosts = {name: ExecutionHost(script) for name, script in zip(("alpha", "beta"), scripts, strict=True)}
    async with running_conductor(tmp_path, hosts=hosts) as it:
        run = await it.create(agent_step("s"), agent_step("t"))
        await it.watch(run.name)
        seen: list[str] = []
        token = ""
        pages = 0
        while True:
            asked = pb.ListFindingsRequest(parent=run.name, page_size=500, page_token=token)
            page = await it.runs.ListFindings(asked)
            assert page.ByteSize() < 4 * 1024 * 1024
            seen += [f"{each.step} {each.title}" for each in page.findings]
            pages += 1
            token = page.next_page_token
            if not token:
                break

    assert pages > 1
    assert len(seen) == len(set(seen)) == 60


async def test_a_report_is_given_when_the_run_has_settled_and_not_before(tmp_path: Path) -> None:
    """Keeps F6."""
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(),))}) as it:
        run = await it.create(agent_step("s"))
        told = await refusal(it.runs.GetReport(pb.GetReportRequest(name=run.name)))
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "SOURCE_NOT_SETTLED")
        assert told.hint == f"follow it to its end:  conductor watch {run.name.removeprefix('runs/')}"
        host = it.hosts["alpha"]
        await until(lambda: len(host.executions) == 1)
        next(iter(host.executions.values())).tell(with_findings(finding("t", "high", 1, "one")))
        await it.watch(run.name)
        report = await it.runs.GetReport(pb.GetReportRequest(name=run.name))
        forms = {
            name: await it.runs.GetReport(pb.GetReportRequest(name=run.name, format=name))
            for name in pb.Report.Format.keys()[1:]
        }
        told = await refusal(it.runs.GetReport(pb.GetReportRequest(name=run.name, format=99, min_severity=99)))  # type: ignore[arg-type]
        assert [field for field, _ in told.violations] == ["format", "min_severity"]

    assert forms["FORMAT_MD"].body == report.markdown
    assert json.loads(forms["FORMAT_JSON"].body)["findings"][0]["title"] == "t"
    assert forms["FORMAT_HTML"].body.startswith("<!doctype html>")
    assert json.loads(forms["FORMAT_SARIF"].body)["runs"][0]["results"][0]["level"] == "error"
    assert forms["FORMAT_JUNIT"].body.startswith("<?xml")
    assert all(form.media_type for form in forms.values())
    assert report.name == f"{run.name}/report"
    assert report.markdown.startswith("#")
    assert json_format.MessageToDict(report.json)


@pytest.mark.parametrize("outcome", [host_pb.Finished.OUTCOME_FAILED, host_pb.Finished.OUTCOME_TIMED_OUT])
async def test_a_failure_is_told_with_its_reason_and_its_step(outcome: int, tmp_path: Path) -> None:
    """Keeps G3."""
    end = host_pb.Finished(outcome=outcome, reason="AGENT_EXIT_NONZERO", message="It ended with 3.", exit_code=3)  # type: ignore[arg-type]
    script = (started(), host_pb.ExecuteResponse(finished=end))
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(script)}) as it:
        run = await it.create(agent_step("s"))
        ended = await it.settled(run.name)

    assert ended.state == pb.Run.STATE_FAILED
    assert (ended.failure.reason, ended.failure.step) == ("AGENT_EXIT_NONZERO", f"{run.name}/steps/s")
    assert ended.steps[0].attempts[0].exit_code == 3


async def _keep(told: list[pb.WatchRunResponse], stream: Any) -> None:
    async for message in stream:
        told.append(message)  # noqa: PERF401 (what came before the error counts)


async def test_a_damaged_run_is_read_as_far_as_it_goes_and_everything_else_as_ever(tmp_path: Path) -> None:
    """Keeps I5: damaged by hand between two starts, the run ends, and every caller that asks is told which row it was."""
    working = ExecutionHost([started(), said("so far")])
    async with running_conductor(tmp_path, hosts={"alpha": working}) as it:
        broken, sound = await it.create(agent_step("talk")), await it.create(agent_step("talk"))
        await it.until_said(broken.name)  # its third event is stored by then
    connection = sqlite3.connect(tmp_path / "data" / "conductor.db")
    script = "UPDATE journal SET data = '{oops' WHERE position = 3 AND run = (SELECT key FROM runs WHERE run = ?)"
    assert connection.execute(script, (broken.name.removeprefix("runs/"),)).rowcount == 1
    connection.commit()
    connection.close()

    async with running_conductor(tmp_path, hosts={"alpha": working}) as it:
        await until(lambda: len(working.executions) == 2)
        async with asyncio.timeout(10):  # the damage is found beside the first calls
            while (shown := await it.runs.GetRun(pb.GetRunRequest(name=broken.name))).state != pb.Run.STATE_FAILED:
                await asyncio.sleep(0.01)
        listed = (await it.runs.ListRuns(pb.ListRunsRequest())).runs
        cancelled = await refusal(it.runs.CancelRun(pb.CancelRunRequest(name=broken.name)))
        told: list[pb.WatchRunResponse] = []
        ended = await refusal(_keep(told, it.runs.WatchRun(pb.WatchRunRequest(name=broken.name))))
        for execution in working.executions.values():
            execution.tell(finished())
        other = await it.settled(sound.name)
        await it.runs.DeleteRun(pb.DeleteRunRequest(name=broken.name))
        left = (await it.runs.ListRuns(pb.ListRunsRequest())).runs

    assert (shown.state, shown.failure.reason) == (pb.Run.STATE_FAILED, "STORAGE_DAMAGED")
    assert "journal, position 3" in shown.failure.message
    assert "journal, position 3" in shown.damage
    assert (len(other.steps), other.damage) == (1, "")
    assert {run.name: run.state for run in listed}[broken.name] == pb.Run.STATE_FAILED
    assert (cancelled.code, cancelled.reason) == ("FAILED_PRECONDITION", "RUN_NOT_RUNNING")
    assert "events of this run: journal, position 3" in cancelled.message
    assert [message.sequence for message in told] == [1, 2]
    assert (ended.code, ended.reason) == ("DATA_LOSS", "STORAGE_DAMAGED")
    assert other.state == pb.Run.STATE_SUCCEEDED
    assert [run.name for run in left] == [sound.name]
