"""Watching runs over the real server: nothing missing, nothing twice, and no watcher waits for another. Keeps G1 G3 G4 G5 B3."""

import asyncio
import random
from pathlib import Path

import pytest

from conductor.config import Limits
from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running, agent_step, plain, refusal, running_conductor
from tests.fakes.execution_host import ExecutionHost, FakeExecution, finding, finished, said, started, with_findings
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

TIMEOUT_SECONDS = 20
STEPS = tuple(f"s{number}" for number in range(4))


async def live(it: Running, *steps: str) -> dict[str, FakeExecution]:
    """The executions of these steps, as soon as they run."""
    host = it.hosts["alpha"]
    await until(lambda: len(host.executions) == len(steps))
    return {name.split("-")[1]: execution for name, execution in host.executions.items()}


def check_sequences(told: list[pb.WatchRunResponse]) -> None:
    """1, 2, 3 and so on; what only tells how things stand repeats the position before it."""
    position = 0
    for message in told:
        standing = message.HasField("progress")
        assert message.sequence == position + (0 if standing else 1)
        position = message.sequence


def check_offsets(told: list[pb.WatchRunResponse]) -> None:
    ends: dict[tuple[str, int], int] = {}
    for output in (message.output for message in told if message.HasField("output")):
        key = (output.attempt, output.channel)
        assert output.offset == ends.get(key, 0)
        ends[key] = output.offset + len(output.text.encode())


async def test_the_roster_is_first_the_end_is_last_and_positions_have_no_gap(tmp_path: Path) -> None:
    """Keeps B3 and G1."""
    script = (started(), said("é"), said("b"), finished())
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(script)}) as it:
        run = await it.create(*(agent_step(step) for step in STEPS))
        told = await it.watch(run.name)

    assert [step.name for step in told[0].run.steps] == [f"{run.name}/steps/{step}" for step in STEPS]
    assert told[0].run.state == pb.Run.STATE_QUEUED
    assert told[-1].run.state == pb.Run.STATE_SUCCEEDED
    assert told[-1].run.HasField("end_time")
    check_sequences(told)
    check_offsets(told)
    seen = {step.name for step in told[0].run.steps}
    assert {message.output.step for message in told if message.HasField("output")} == seen


async def test_twenty_watchers_who_join_at_random_read_one_history(tmp_path: Path) -> None:
    """Keeps G1: same events in order, same bytes per channel."""
    chance = random.Random(7)
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(),))}) as it:
        run = await it.create(*(agent_step(step) for step in STEPS))
        executions = await live(it, *STEPS)
        async with asyncio.TaskGroup() as tasks:
            watchers = []
            for number in range(20):
                watchers.append(tasks.create_task(it.watch(run.name)))
                for _ in range(chance.randrange(6)):
                    execution = executions[chance.choice(STEPS)]
                    execution.tell(said(f"{number}äöü " * chance.randrange(1, 40)))
                    await asyncio.sleep(0)
            for execution in executions.values():
                execution.tell(finished())
        late = await it.watch(run.name)

    histories = [plain(watcher.result()) for watcher in watchers]
    assert all(history == plain(late) for history in histories)
    check_sequences(late)


async def test_a_watcher_who_comes_back_with_any_token_sees_the_rest_once(tmp_path: Path) -> None:
    """Keeps G1: after every single message."""
    script = (started(), said("a"), said("b"), finished())
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(script)}) as it:
        run = await it.create(*(agent_step(step) for step in STEPS))
        whole = await it.watch(run.name)
        for place, message in enumerate(whole):
            again = await it.watch(run.name, message.resume_token)
            assert again[0].HasField("run")
            assert again[0].sequence == message.sequence
            assert plain(again[1:]) == plain(whole[place + 1 :])


async def test_each_finding_is_told_once_with_a_position_of_its_own(tmp_path: Path) -> None:
    """Keeps F4 and G1: a watcher that comes back after any of them gets the others."""
    found = with_findings(finding("one", "high", 1, "one"), finding("two", "low", 7, "invented"))
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(), found))}) as it:
        run = await it.create(agent_step("look"))
        whole = await it.watch(run.name)
        for place, message in enumerate(whole):
            assert plain((await it.watch(run.name, message.resume_token))[1:]) == plain(whole[place + 1 :])

    check_sequences(whole)
    told = [message.finding for message in whole if message.HasField("finding")]
    assert {(each.title, pb.Evidence.Status.Name(each.status)) for each in told} == {
        ("one", "STATUS_VERIFIED"),
        ("two", "STATUS_MISSING"),
    }
    assert {each.step for each in told} == {f"{run.name}/steps/look"}


async def test_histories_are_the_same_after_a_restart(tmp_path: Path) -> None:
    script = (started(), said("a"), said("b"), finished())
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(script)}) as it:
        run = await it.create(agent_step("s"))
        before = await it.watch(run.name)
        shown = await it.runs.GetRun(pb.GetRunRequest(name=run.name))
    async with running_conductor(tmp_path) as it:
        assert plain(await it.watch(run.name)) == plain(before)
        again = await it.runs.GetRun(pb.GetRunRequest(name=run.name))

    assert again.SerializeToString(deterministic=True) == shown.SerializeToString(deterministic=True)


async def test_a_token_is_good_for_its_run_only(tmp_path: Path) -> None:
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(), finished()))}) as it:
        one, other = await it.create(agent_step("s")), await it.create(agent_step("s"))
        token = (await it.watch(one.name))[0].resume_token
        for wrong in (token[:-2], "nonsense", "ü", "A" * 600, token + "AAAA"):
            told = await refusal(it.runs.WatchRun(pb.WatchRunRequest(name=one.name, resume_token=wrong)))
            assert (told.code, told.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
            assert told.violations[0][0] == "resume_token"
        told = await refusal(it.runs.WatchRun(pb.WatchRunRequest(name=other.name, resume_token=token)))
        assert told.reason == "INVALID_REQUEST"


async def test_silence_is_told_as_progress_at_the_same_position(tmp_path: Path) -> None:
    limits = Limits(progress_seconds=0, stop_seconds=1)
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(),))}, limits=limits) as it:
        run = await it.create(agent_step("s"))
        executions = await live(it, "s")
        told: list[pb.WatchRunResponse] = []
        async for message in it.runs.WatchRun(pb.WatchRunRequest(name=run.name)):
            told.append(message)
            if message.HasField("progress") and message.progress.running_steps == 1:
                executions["s"].tell(finished()) if len(executions["s"].frames) == 1 else None

    check_sequences(told)
    standing = next(message.progress for message in told if message.progress.running_steps)
    assert (standing.settled_steps, standing.total_steps) == (0, 1)
    assert told[-1].run.state == pb.Run.STATE_SUCCEEDED


async def test_who_joins_or_comes_back_late_is_told_the_time_as_soon_as_all_is_told(tmp_path: Path) -> None:
    """The last event may be old, and the ages of what runs are counted from the time that was told last."""
    limits = Limits(progress_seconds=1_000, stop_seconds=1)
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(),))}, limits=limits) as it:
        run = await it.create(agent_step("s"))
        await live(it, "s")
        token = ""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            for _ in range(2):
                call = it.runs.WatchRun(pb.WatchRunRequest(name=run.name, resume_token=token))
                while not (message := await call.read()).HasField("progress"):
                    token, last = message.resume_token, message
                call.cancel()
                assert message.sequence == last.sequence
                assert message.time.ToNanoseconds() > last.time.ToNanoseconds()


async def test_a_host_that_goes_and_comes_back_is_told_before_the_pace_is_over(tmp_path: Path) -> None:
    """Nothing that is stored tells of it."""
    limits = Limits(progress_seconds=1_000, stop_seconds=1)
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(),))}, limits=limits) as it:
        run = await it.create(agent_step("s"))
        await live(it, "s")
        call = it.runs.WatchRun(pb.WatchRunRequest(name=run.name))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not (await call.read()).HasField("progress"):
                pass
            it.tellers["alpha"].end()
            while not (message := await call.read()).progress.disconnections:
                pass
            assert message.progress.disconnections[0].host == "hosts/alpha"
            it.tellers["alpha"].come_back()
            while not (message := await call.read()).HasField("progress"):
                pass
        call.cancel()

    assert not message.progress.disconnections


async def test_fifty_watchers_that_never_read_hold_up_no_other(tmp_path: Path) -> None:
    """Keeps G4."""
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(),))}) as it:
        run = await it.create(agent_step("s"))
        execution = (await live(it, "s"))["s"]
        stuck = [it.runs.WatchRun(pb.WatchRunRequest(name=run.name)) for _ in range(50)]
        for call in stuck:
            await call.read()
        for _ in range(60):
            execution.tell(said("x" * 60_000))
        execution.tell(finished())
        told = await it.watch(run.name)
        for call in stuck:
            call.cancel()

    assert sum(len(message.output.text) for message in told) >= 3_600_000
    check_sequences(told)


async def test_watchers_of_a_run_that_is_not_there_are_told_so(tmp_path: Path) -> None:
    async with running_conductor(tmp_path) as it:
        told = await refusal(it.runs.WatchRun(pb.WatchRunRequest(name=f"runs/{'0' * 26}")))
        assert (told.code, told.reason) == ("NOT_FOUND", "RUN_NOT_FOUND")
        told = await refusal(it.runs.WatchRun(pb.WatchRunRequest(name="runs/x")))
        assert told.violations[0][0] == "name"


async def test_a_service_that_stops_tells_its_watchers(tmp_path: Path) -> None:
    async with running_conductor(tmp_path) as it:
        run = await it.create(agent_step("s"))
        watching = asyncio.create_task(refusal(it.runs.WatchRun(pb.WatchRunRequest(name=run.name))))
        call = it.runs.WatchRun(pb.WatchRunRequest(name=run.name))
        # The last that there is to tell: gRPC gives no status to a call that is just being written to.
        while not (await call.read()).step.HasField("wait"):
            pass
        it.stop.set()
        told = await watching
        await it.serving

    assert (told.code, told.reason) == ("UNAVAILABLE", "SHUTTING_DOWN")


async def test_all_runs_are_told_in_order_and_from_any_token(tmp_path: Path) -> None:
    """Keeps G5: two runs, interleaved."""
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(), finished()))}) as it:
        runs = [await it.create(agent_step("s"), labels={"n": str(n)}) for n in range(2)]
        for run in runs:
            await it.watch(run.name)
        ends = 0
        told: list[pb.WatchRunsResponse] = []
        feed = it.runs.WatchRuns(pb.WatchRunsRequest(resume_token="0"))
        async for message in feed:
            told.append(message)
            ends += message.event.run.state == pb.Run.STATE_SUCCEEDED and message.event.run.HasField("end_time")
            if ends == 2:
                break
        feed.cancel()
        for run in runs:
            mine = [message.event for message in told if message.run == run.name]
            whole = [message for message in await it.watch(run.name) if not message.HasField("output")]
            assert plain(mine) == plain(whole)

        resumed = it.runs.WatchRuns(pb.WatchRunsRequest(resume_token=told[3].resume_token))
        assert plain([(await resumed.read()).event]) == plain([told[4].event])
        resumed.cancel()
        filtered = it.runs.WatchRuns(pb.WatchRunsRequest(resume_token="0", labels={"n": "1"}))
        assert (await filtered.read()).run == runs[1].name
        filtered.cancel()


@pytest.mark.parametrize("token", ["x", "1", "-1"])
async def test_a_place_in_the_feed_that_there_is_not_is_refused(token: str, tmp_path: Path) -> None:
    async with running_conductor(tmp_path) as it:
        told = await refusal(it.runs.WatchRuns(pb.WatchRunsRequest(resume_token=token)))

    assert told.violations[0][0] == "resume_token"


async def test_the_feed_tells_only_what_is_new_unless_it_is_asked(tmp_path: Path) -> None:
    async with running_conductor(tmp_path, limits=Limits(progress_seconds=0, stop_seconds=1)) as it:
        await it.create(agent_step("s"))
        feed = it.runs.WatchRuns(pb.WatchRunsRequest())
        # The feed has begun with this; the first run may still go on, which is new.
        assert (await feed.read()).event.sequence != 1
        new = await it.create(flow_pb.Flow.Step(id="t", fold=flow_pb.FoldWork(template="x")))
        while (message := await feed.read()).run != new.name:
            assert message.event.sequence != 1
        feed.cancel()

    assert message.event.sequence == 1
