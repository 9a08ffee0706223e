"""Traces and metrics of real services with a model behind them, as a collector and Prometheus receive them. Keeps K11."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from conductor.v1 import run_service_pb2_grpc
from conductor.v1.flow_service_pb2 import AgentWork, Flow
from conductor.v1.run_service_pb2 import Run, WatchRunRequest
from tests.fakes.collector import Collector, collecting_in_threads
from tests.fakes.model_server import Answer, ModelServer
from tests.kit import flows
from tests.kit.metrics import Scraped, scrape
from tests.kit.served_model import ServedModel
from tests.kit.services import running_pair
from tests.kit.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.timeout(120)]

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
# Asks three times, with a trace of its own, which does not reach the model.
ASKER = """
import http.client
for number in range(3):
    link = http.client.HTTPConnection("127.0.0.1", 8787, timeout=100)
    link.request("POST", "/v1/chat/completions", body=b"{}", headers={"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"})
    answer = link.getresponse()
    answer.read()
    print("answer", answer.status, flush=True)
"""
SPEC = f"""
name = "asker"
description = "Asks its model."
argv = ["{{python}}", "-I", "-S", "-c", '''{ASKER}''']
network = "model"
model = "gpu"
"""


@dataclass(frozen=True)
class Seen:
    """What one run left with the model and the collector."""

    run: Run
    model: ModelServer
    collector: Collector
    conductor: Scraped
    host: Scraped


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("telemetry")
    (folder / "agents").mkdir()
    (folder / "agents" / "asker.toml").write_text(SPEC)
    workspace = flows.plain_workspace(folder / "w")
    with ServedModel.serving() as model, collecting_in_threads() as collector:
        model.answers.extend([Answer(), Answer(500, pieces=(b"{}",)), Answer()])
        (folder / "host.toml").write_text(f'[models.gpu]\nurl = "{model.url}"\n')
        (folder / "conductor.toml").write_text(f'[traces]\nendpoint = "{collector.endpoint}"\n')
        options = ("--config", str(folder / "host.toml"), "--agents-dir", str(folder / "agents"))
        settings = ("--config", str(folder / "conductor.toml"), "--root", str(workspace))
        options += ("--metrics", f"unix:{folder}/host.sock")
        settings += ("--metrics", f"unix:{folder}/conductor.sock")
        with (
            running_pair(folder, hosts=("alpha",), extra=settings, host_extra=options) as pair,
            pair.channel() as channel,
        ):
            stub = run_service_pb2_grpc.RunServiceStub(channel)
            step = Flow.Step(id="look", agent=AgentWork(agents=["asker"], prompt="Go."))
            created = stub.CreateRun(flows.request(workspace, step), metadata=[("traceparent", CALLER)])
            ended = [told.run for told in stub.WatchRun(WatchRunRequest(name=created.name)) if told.HasField("run")][-1]
            wait_until(lambda: bool(collector.named("run flows/inline")))
            pages = [asyncio.run(scrape(folder / f"{name}.sock")) for name in ("conductor", "host")]
            yield Seen(ended, model, collector, *pages)


def test_one_trace_tells_a_run_down_to_each_request_to_its_model(seen: Seen) -> None:
    """Keeps K11: from the caller's span to what the model was told."""
    _, trace, caller, _ = CALLER.split("-")
    assert seen.run.state == Run.STATE_SUCCEEDED
    (run,), (step,) = seen.collector.named("run flows/inline"), seen.collector.named("step look")
    (attempt,) = seen.collector.named("invoke_agent asker")
    requests = [told for told in seen.collector.told if told.parent == attempt.id]

    assert (run.parent, step.parent, attempt.parent) == (caller, run.id, step.id)
    assert {told.trace for told in seen.collector.told} == {trace}
    assert len(requests) == 3
    assert [asked.headers["traceparent"] for asked in seen.model.asked] == [
        f"00-{trace}-{one.id}-01" for one in requests
    ]
    for one in requests:
        assert one.span.name.startswith("chat ")
        assert attempt.span.start_time_unix_nano <= one.span.start_time_unix_nano <= one.span.end_time_unix_nano
        assert one.span.end_time_unix_nano <= attempt.span.end_time_unix_nano
        assert one.attributes["gen_ai.operation.name"] == "chat"
    answered, refused, _ = requests
    assert answered.attributes["http.response.status_code"] == 200
    assert answered.attributes["gen_ai.usage.input_tokens"] == 11
    assert answered.attributes["gen_ai.usage.output_tokens"] == 7
    assert refused.span.status.code == refused.span.status.STATUS_CODE_ERROR
    assert refused.attributes["http.response.status_code"] == 500


def test_the_metrics_of_both_services_tell_the_same_run(seen: Seen) -> None:
    """Keeps K11: tokens by model, gateway latencies, and sandbox proofs, of what really happened."""
    conductor, host = seen.conductor, seen.host

    assert conductor.value("conductor_runs_ended_total", state="succeeded") == 1
    assert conductor.value("conductor_hosts", state="ready") == 1
    assert conductor.value("conductor_host_sandbox_proven", host="alpha") == 1
    (pool,) = conductor.families["conductor_pool_slots"].samples
    assert pool.value == 1
    (tokens,) = [
        one for one in conductor.families["conductor_model_tokens"].samples if one.labels["direction"] == "input"
    ]
    assert tokens.value == 22
    assert host.value("agenthost_model_tokens_total", model="gpu", direction="input") == 22
    assert host.value("agenthost_model_tokens_total", model="gpu", direction="output") == 14
    assert host.value("agenthost_model_requests_total", model="gpu", outcome="answered") == 3
    assert host.value("agenthost_model_responses_total", model="gpu", code="5xx") == 1
    assert host.value("agenthost_model_request_duration_seconds_count", model="gpu") == 3
    assert host.value("agenthost_model_request_duration_seconds_bucket", model="gpu", le="+Inf") == 3
    assert host.value("agenthost_sandbox_proven") == 1
    assert host.value("agenthost_gateway_up") == 1
