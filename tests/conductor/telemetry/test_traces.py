"""Traces of a real conductor, as a collector receives them. Keeps K11."""

import asyncio
import sys
import textwrap
from pathlib import Path

import pytest

from agenthost.v1 import execution_service_pb2 as pb
from conductor.errors import ConfigurationError
from conductor.telemetry import traces
from conductor.v1 import run_service_pb2
from servicekit.collectors import Collector
from tests.conductor.running_conductor import agent_step, running_conductor
from tests.fakes.collector import Collector as Receiver
from tests.fakes.collector import collecting
from tests.fakes.execution_host import ExecutionHost, finished, said, started
from tests.kit.waiting import until

pytestmark = pytest.mark.processes


@pytest.fixture(autouse=True)
def _told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "GATHER_SECONDS", 0.02)


CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_the_trace_of_a_run_is_complete_below_the_span_of_its_caller(tmp_path: Path) -> None:
    """Keeps K11: run, step and attempt, each under its parent, with the trace of the caller."""
    host = ExecutionHost((started(), said("secret answer"), finished()))
    async with (
        collecting(Receiver()) as collector,
        running_conductor(tmp_path, hosts={"alpha": host}, traces=collector.endpoint) as it,
    ):
        run = await it.create(agent_step("one"), agent_step("two", "one"), traceparent=CALLER)
        assert (await it.settled(run.name)).state == run_service_pb2.Run.STATE_SUCCEEDED
        await until(lambda: bool(collector.named("run flows/test")))
        shown = await it.runs.GetRun(run_service_pb2.GetRunRequest(name=run.name))

    (of_run,) = collector.named("run flows/test")
    assert (of_run.trace, of_run.parent) == tuple(CALLER.split("-")[1:3])
    assert of_run.attributes["conductor.run"] == run.name.removeprefix("runs/")
    assert of_run.service == "conductor"
    assert shown.trace_id == of_run.trace
    for name in ("one", "two"):
        (step,) = collector.named(f"step {name}")
        attempt = collector.find(lambda told, step=step: told.parent == step.id)
        assert step.parent == of_run.id
        assert attempt.span.name == "invoke_agent scripted"
        assert attempt.attributes["gen_ai.operation.name"] == "invoke_agent"
        assert attempt.attributes["conductor.host"] == "alpha"
        assert of_run.span.start_time_unix_nano <= step.span.start_time_unix_nano <= attempt.span.start_time_unix_nano
        assert attempt.span.end_time_unix_nano <= step.span.end_time_unix_nano <= of_run.span.end_time_unix_nano
    assert {told.trace for told in collector.told} == {of_run.trace}
    assert len(collector.told) == 5
    assert not any(b"secret answer" in told.span.SerializeToString() for told in collector.told)


async def test_a_failure_is_told_by_its_reason(tmp_path: Path) -> None:
    host = ExecutionHost((started(), finished(pb.Finished.OUTCOME_FAILED)))
    async with (
        collecting(Receiver()) as collector,
        running_conductor(tmp_path, hosts={"alpha": host}, traces=collector.endpoint) as it,
    ):
        await it.settled((await it.create(agent_step("one"))).name)
        await until(lambda: bool(collector.named("run flows/test")))

    (of_run,) = collector.named("run flows/test")
    assert of_run.parent == ""
    assert of_run.attributes["error.type"] == "AGENT_FAILED"
    assert of_run.span.status.code == of_run.span.status.STATUS_CODE_ERROR


async def test_spans_that_a_collector_missed_are_told_after_a_restart_under_the_same_ids(tmp_path: Path) -> None:
    """Keeps K11 and I3: the journal is the queue, and a span that is told twice is the same span."""
    host = ExecutionHost((started(), said("well")))
    async with (
        collecting(Receiver()) as first,
        running_conductor(tmp_path, hosts={"alpha": host}, traces=first.endpoint) as it,
    ):
        run = await it.create(agent_step("one"), agent_step("two"))
        await until(lambda: len(host.executions) == 2)
        one, two = host.executions.values()
        one.tell(finished())
        await until(lambda: len(first.told) == 2)
    # No collector listens there now; the run ends all the same.
    async with running_conductor(tmp_path, hosts={"alpha": host}, traces=first.endpoint) as it:
        two.tell(finished())
        assert (await it.settled(run.name)).state == run_service_pb2.Run.STATE_SUCCEEDED
    second = Receiver()
    port = int(first.endpoint.rpartition(":")[2])
    async with collecting(second, port), running_conductor(tmp_path, traces=first.endpoint):
        await until(lambda: bool(second.named("run flows/test")))

    spans = {told.id: told.span.name for told in (*first.told, *second.told)}
    assert sorted(spans.values()) == sorted(
        ["invoke_agent scripted", "invoke_agent scripted", "run flows/test", "step one", "step two"]
    )
    assert {told.trace for told in first.told} == {told.trace for told in second.told}


async def test_what_ended_too_long_ago_is_left_out_and_the_log_says_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(traces, "MAX_AGE_SECONDS", -60.0)
    host, logged = ExecutionHost((started(), finished())), list[str]()

    def is_left_out() -> bool:
        logged.append("".join(capsys.readouterr()))
        return "spans_left_out" in "".join(logged)

    async with (
        collecting(Receiver()) as collector,
        running_conductor(tmp_path, hosts={"alpha": host}, traces=collector.endpoint) as it,
    ):
        await it.settled((await it.create(agent_step("one"))).name)
        await until(is_left_out)

    assert collector.told == []


async def test_a_collector_that_hangs_delays_neither_runs_nor_the_end_of_the_service(tmp_path: Path) -> None:
    host = ExecutionHost((started(), finished()))
    async with collecting(Receiver()) as collector:
        collector.hangs = True
        async with running_conductor(tmp_path, hosts={"alpha": host}, traces=collector.endpoint) as it:
            await it.settled((await it.create(agent_step("one"))).name)
            await until(lambda: collector.calls > 0)
            assert (await it.settled((await it.create(agent_step("two"))).name)).state
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 5


async def test_the_trace_is_passed_on_to_hosts_also_without_a_collector_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keeps K4: and each line of the run's log names it."""
    host = ExecutionHost((started(), finished()))
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        untraced = await it.create(agent_step("one"))
        await it.settled(untraced.name)
        await it.settled((await it.create(agent_step("two"), traceparent=CALLER)).name)

    starts = {name.split("-")[1]: pb.Start.FromString(one.start) for name, one in host.executions.items()}
    assert starts["one"].traceparent == ""
    version, trace, span, flags = starts["two"].traceparent.split("-")
    assert (version, trace, flags) == ("00", CALLER.split("-")[1], "01")
    assert span not in CALLER
    lines = [line for line in capsys.readouterr().out.splitlines() if "step=two" in line or "run_settled" in line]
    assert sum(f"trace={trace}" in line for line in lines) == len(lines) - 1


FLOWS = {
    "outer": "steps: [{id: deep, flow: {flow: inner}}]",
    "inner": """
        steps:
          - id: each
            foreach: {items: "['a', 'b']", as: one, steps: [{id: look, agent: {agents: [scripted], prompt: "Look at {{ one }}."}}]}
        """,
}


async def test_sub_runs_and_the_steps_of_items_stand_below_the_steps_that_have_them(tmp_path: Path) -> None:
    (tmp_path / ".conductor" / "flows").mkdir(parents=True)
    for name, text in FLOWS.items():
        (tmp_path / ".conductor" / "flows" / f"{name}.yaml").write_text(textwrap.dedent(text))
    host = ExecutionHost((started(), finished()))
    async with (
        collecting(Receiver()) as collector,
        running_conductor(tmp_path, hosts={"alpha": host}, traces=collector.endpoint, project=tmp_path) as it,
    ):
        it.tellers["alpha"].change(features=["path_ids"])
        asked = run_service_pb2.CreateRunRequest(
            flow="flows/outer", workspace=run_service_pb2.Workspace(path=str(it.workspace))
        )
        ended = await it.settled((await it.runs.CreateRun(asked)).name)
        assert ended.state == run_service_pb2.Run.STATE_SUCCEEDED
        await until(lambda: bool(collector.named("run flows/outer")))

    (outer,), (deep,) = collector.named("run flows/outer"), collector.named("step deep")
    (inner,), (each,) = collector.named("run flows/inner"), collector.named("step each")
    looks = [*collector.named("step each.0.look"), *collector.named("step each.1.look")]
    assert (outer.parent, deep.parent, inner.parent, each.parent) == ("", outer.id, deep.id, inner.id)
    assert [look.parent for look in looks] == [each.id, each.id]
    assert {told.parent for told in collector.named("invoke_agent scripted")} == {look.id for look in looks}
    assert {told.trace for told in collector.told} == {outer.trace}


async def test_a_caller_that_is_not_sampled_is_passed_on_and_no_span_is_sent(tmp_path: Path) -> None:
    host = ExecutionHost((started(), finished()))
    async with (
        collecting(Receiver()) as collector,
        running_conductor(tmp_path, hosts={"alpha": host}, traces=collector.endpoint) as it,
    ):
        await it.settled((await it.create(agent_step("quiet"), traceparent=f"{CALLER[:-2]}00")).name)
        await it.settled((await it.create(agent_step("told"))).name)
        await until(lambda: bool(collector.named("run flows/test")))

    assert len(collector.named("run flows/test")) == 1
    assert collector.named("step quiet") == []
    (quiet,) = (pb.Start.FromString(one.start) for name, one in host.executions.items() if "quiet" in name)
    assert quiet.traceparent.startswith(CALLER[:36])
    assert quiet.traceparent.endswith("-00")


async def test_a_retry_is_a_trace_of_its_own(tmp_path: Path) -> None:
    host = ExecutionHost((started(), finished(pb.Finished.OUTCOME_FAILED)))
    async with (
        collecting(Receiver()) as collector,
        running_conductor(tmp_path, hosts={"alpha": host}, traces=collector.endpoint) as it,
    ):
        failed = await it.settled((await it.create(agent_step("one"), traceparent=CALLER)).name)
        host.script = (started(), finished())
        await it.settled((await it.runs.RetryRun(run_service_pb2.RetryRunRequest(name=failed.name))).name)
        await until(lambda: len(collector.named("run flows/test")) == 2)

    first, second = collector.named("run flows/test")
    assert first.trace == CALLER.split("-")[1] != second.trace
    assert second.attributes["conductor.retry_of"] == failed.name.removeprefix("runs/")


async def test_without_the_library_a_setting_says_what_to_install_and_a_variable_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "conductor.telemetry.span_export", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError, match="traces need a library") as caught:
        async with running_conductor(tmp_path, traces="http://127.0.0.1:4317"):
            pass
    variable = Collector("http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_ENDPOINT")
    async with running_conductor(tmp_path, traces=variable):
        pass

    assert caught.value.hint == "pip install 'conductor-agenthost[traces]'"
    assert "traces_not_sent" in capsys.readouterr().out
