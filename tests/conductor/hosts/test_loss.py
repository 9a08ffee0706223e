"""A host goes away, is given up, and comes back; what is shown meanwhile. A real conductor over fake hosts. Keeps I4 C5 C6."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from agenthost.v1 import execution_service_pb2 as host_pb
from conductor.cli.views.hosts import host_line
from conductor.config import Clocks
from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import pool_service_pb2 as pool_pb
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running, agent_step, running_conductor
from tests.fakes.execution_host import ExecutionHost, finished, said, started
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

SHORT = Clocks(orphan_timeout_seconds=0.1, lost_after_seconds=0.6)


def impatient(step: str, *needs: str, **agent: Any) -> flow_pb.Flow.Step:
    """A step that is tried again at once, and three times at most."""
    made = agent_step(step, *needs)
    retries = flow_pb.Retries(first_pause=Duration(nanos=50_000_000))
    made.agent.MergeFrom(flow_pb.AgentWork(max_attempts=3, may_overlap=True, retries=retries, **agent))
    return made


async def shown_when(running: Running, run: str, state: "pb.Step.State.ValueType") -> pb.Step:
    """The first step of the run, once it has a state."""
    async with asyncio.timeout(20):
        while True:
            step: pb.Step = (await running.runs.GetRun(pb.GetRunRequest(name=run))).steps[0]
            if step.state == state:
                return step
            await asyncio.sleep(0.01)


async def host_state(running: Running, name: str) -> pool_pb.Host:
    host: pool_pb.Host = await running.pool.GetHost(pool_pb.GetHostRequest(name=f"hosts/{name}"))
    return host


async def test_a_host_that_goes_away_is_shown_and_given_up_and_one_result_counts(tmp_path: Path) -> None:
    alpha, beta = (
        ExecutionHost([started(), said("from alpha ")]),
        ExecutionHost([started(), said("from beta"), finished()]),
    )
    async with running_conductor(tmp_path, hosts={"alpha": alpha, "beta": beta}, clocks=SHORT) as running:
        run = (await running.create(impatient("one"))).name
        await until(lambda: len(alpha.spawned) == 1)
        running.tellers["alpha"].end()
        told = [message async for message in running.runs.WatchRun(pb.WatchRunRequest(name=run))]

        ended = told[-1].run
        assert ended.state == pb.Run.STATE_SUCCEEDED
        attempts = ended.steps[0].attempts
        assert [(one.host, one.state) for one in attempts] == [
            ("alpha", pb.Attempt.STATE_LOST),
            ("beta", pb.Attempt.STATE_SUCCEEDED),
        ]
        away = next(message.progress for message in told if message.progress.disconnections)
        assert away.disconnections[0].host == "hosts/alpha"
        assert list(away.disconnections[0].steps) == [f"{run}/steps/one"]
        waited = (
            away.disconnections[0].lost_time.ToMilliseconds()
            - away.disconnections[0].disconnected_time.ToMilliseconds()
        )
        assert abs(waited - 600) <= 1
        requeued = next(message.step for message in told if message.step.wait.kind == pb.Wait.KIND_RETRY)
        assert requeued.wait.text.startswith("Retry 1 of 2 (infrastructure) follows after a pause: HOST_LOST: ")
        assert requeued.wait.HasField("until_time")
        step = await running.runs.GetStep(pb.GetStepRequest(name=f"{run}/steps/one"))
        assert step.text == "from beta"
        assert (await host_state(running, "alpha")).state == pool_pb.Host.STATE_LOST

        running.tellers["alpha"].come_back()
        (lost,) = alpha.executions.values()
        await until(lambda: lost.is_released)
        assert lost.cancels


async def test_an_attempt_on_a_host_that_is_away_goes_on_and_says_since_when(tmp_path: Path) -> None:
    alpha = ExecutionHost([started(), said("words")])
    async with running_conductor(tmp_path, hosts={"alpha": alpha}) as running:
        run = (await running.create(impatient("one", lost_after=Duration(seconds=60)))).name
        await shown_when(running, run, pb.Step.STATE_RUNNING)
        assert not (await running.runs.GetRun(pb.GetRunRequest(name=run))).steps[0].attempts[0].HasField("lost_time")
        running.tellers["alpha"].end()
        async with asyncio.timeout(20):
            while True:
                step = await running.runs.GetStep(pb.GetStepRequest(name=f"{run}/steps/one"))
                if (attempt := step.attempts[0]).HasField("disconnected_time"):
                    break
                await asyncio.sleep(0.01)

        assert attempt.lost_time.ToMilliseconds() - attempt.disconnected_time.ToMilliseconds() == 60_000
        host = await host_state(running, "alpha")
        assert host.state == pool_pb.Host.STATE_DISCONNECTED
        assert host.disconnected_time.ToMilliseconds() - attempt.disconnected_time.ToMilliseconds() <= 0
        running.tellers["alpha"].come_back()
        next(iter(alpha.executions.values())).tell(finished())

        ended = await running.settled(run)
        assert [one.state for one in ended.steps[0].attempts] == [pb.Attempt.STATE_SUCCEEDED]
        assert not ended.steps[0].attempts[0].HasField("disconnected_time")
        async with asyncio.timeout(20):
            while (await host_state(running, "alpha")).HasField("disconnected_time"):
                await asyncio.sleep(0.01)


async def test_what_is_recoverable_twice_takes_three_attempts_and_what_is_fatal_one(tmp_path: Path) -> None:
    """Keeps C5: with growing gaps."""
    lost = host_pb.ExecuteResponse(
        finished=host_pb.Finished(outcome=host_pb.Finished.OUTCOME_FAILED, reason="SHIM_LOST", message="gone")
    )
    alpha = ExecutionHost([started(), lost])
    async with running_conductor(tmp_path, hosts={"alpha": alpha}) as running:
        run = (await running.create(impatient("one"))).name
        await until(lambda: len(alpha.spawned) == 2)
        alpha.script = (started(), said("words"), finished())
        ended = await running.settled(run)
        fatal = host_pb.Finished(outcome=host_pb.Finished.OUTCOME_FAILED, reason="AGENT_EXIT_NONZERO", exit_code=3)
        alpha.script = (started(), host_pb.ExecuteResponse(finished=fatal))
        failed = await running.settled((await running.create(impatient("two"))).name)

    attempts = ended.steps[0].attempts
    assert [one.state for one in attempts] == [
        pb.Attempt.STATE_FAILED,
        pb.Attempt.STATE_FAILED,
        pb.Attempt.STATE_SUCCEEDED,
    ]
    gaps = [
        after.create_time.ToMicroseconds() - before.end_time.ToMicroseconds() for before, after in pairwise(attempts)
    ]
    # The middles are 50 and 100 ms, a quarter more or less.
    assert gaps[0] >= 37_000
    assert gaps[1] >= 75_000
    assert failed.state == pb.Run.STATE_FAILED
    assert len(failed.steps[0].attempts) == 1


async def test_a_run_and_a_step_that_take_too_long_end_with_their_own_reasons(tmp_path: Path) -> None:
    """Keeps C6: what runs is told to end, and nothing is left pending."""
    alpha = ExecutionHost([started(), said("words")])
    # Where all hosts were there, the run would be refused.
    async with running_conductor(tmp_path, hosts={"alpha": alpha}, absent=("beta",)) as running:
        nowhere = impatient("one", queue_timeout=Duration(nanos=200_000_000))
        nowhere.agent.agents[:] = ["unknown"]
        waited = await running.settled((await running.create(nowhere, impatient("two", "one"))).name)
        flow = flow_pb.Flow(
            name="flows/slow", timeout=Duration(nanos=300_000_000), steps=[impatient("a"), impatient("b", "a")]
        )
        workspace = pb.Workspace(path=str(running.workspace))
        created = await running.runs.CreateRun(pb.CreateRunRequest(inline=flow, workspace=workspace))
        ended = await running.settled(created.name)

    assert (waited.failure.reason, waited.failure.step) == ("QUEUE_TIMEOUT", f"{waited.name}/steps/one")
    assert "No connected host offers unknown." in waited.failure.message
    assert ended.state == pb.Run.STATE_FAILED
    assert ended.failure.reason == "RUN_TIMEOUT"
    assert {step.state for step in ended.steps} == {pb.Step.STATE_CANCELLED}
    assert [one.cancels for one in alpha.executions.values()] == [["the run's time was up"]]


async def test_a_cancel_waits_for_no_host_and_is_true_in_the_end(tmp_path: Path) -> None:
    """Keeps B7 and rule 2: `cancelling` at once, though no host can tell the agent; `cancelled` when it is certain."""
    alpha = ExecutionHost([started(), said("words")])
    async with running_conductor(tmp_path, hosts={"alpha": alpha}) as running:
        run = (
            await running.create(impatient("one", lost_after=Duration(nanos=800_000_000)), impatient("two", "one"))
        ).name
        await until(lambda: len(alpha.spawned) == 1)
        alpha.deaf = True
        running.tellers["alpha"].end()
        answers = [await running.runs.CancelRun(pb.CancelRunRequest(name=run, reason="enough")) for _ in range(3)]
        told = await running.watch(run)

    assert answers[0].state == pb.Run.STATE_CANCELLING
    ended = told[-1].run
    assert ended.state == pb.Run.STATE_CANCELLED
    assert [step.state for step in ended.steps] == [pb.Step.STATE_CANCELLED] * 2
    assert [one.state for one in ended.steps[0].attempts] == [pb.Attempt.STATE_LOST]
    end = next(m.sequence for m in told if m.step.state == pb.Step.STATE_CANCELLED and m.step.name.endswith("/one"))
    assert not [message for message in told if message.HasField("output") and message.sequence > end]


async def test_a_host_that_was_never_reached_is_named_where_a_step_waits_and_among_the_hosts(tmp_path: Path) -> None:
    """Keeps C6: it may be the one that has the agent."""
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost()}, absent=("gamma",)) as running:
        nowhere = agent_step("one")
        nowhere.agent.agents[:] = ["unknown"]
        run = (await running.create(nowhere)).name
        async with asyncio.timeout(20):
            while "gamma" not in (wait := (await running.runs.GetRun(pb.GetRunRequest(name=run))).steps[0].wait).text:
                await asyncio.sleep(0.01)
        gamma = await host_state(running, "gamma")

    assert wait.text == "No connected host offers unknown. Not reached since the conductor started: gamma."
    assert gamma.state == pool_pb.Host.STATE_CONNECTING
    assert not gamma.HasField("last_seen_time")
    assert host_line(gamma).startswith("✘ gamma         connecting    never seen  unix:")


async def test_a_host_that_comes_back_with_another_data_folder_is_not_told_as_away(tmp_path: Path) -> None:
    """Wherever it is told: to a watcher, of the step, and of the host, which is ready."""
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost([started()])}) as running:
        teller = running.tellers["alpha"]
        teller.change(instance="first", version="first")
        async with asyncio.timeout(20):
            while (await host_state(running, "alpha")).version != "first":
                await asyncio.sleep(0.01)
        run = (await running.create(agent_step("one"))).name
        step = await shown_when(running, run, pb.Step.STATE_RUNNING)
        assert not step.attempts[0].other_instance
        assert (await host_state(running, "alpha")).attempts_of_earlier_instance == 0

        teller.change(instance="second")
        async with asyncio.timeout(20):
            async for message in running.runs.WatchRun(pb.WatchRunRequest(name=run)):
                if message.progress.disconnections:
                    break

        assert [(one.host, one.other_instance) for one in message.progress.disconnections] == [("hosts/alpha", True)]
        step = await running.runs.GetStep(pb.GetStepRequest(name=f"{run}/steps/one"))
        assert step.attempts[0].other_instance
        host = await host_state(running, "alpha")
        assert (host.state, host.attempts_of_earlier_instance) == (pool_pb.Host.STATE_READY, 1)
