"""Metrics of a real conductor, read as Prometheus reads them. Keeps K11."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from agenthost.v1 import execution_service_pb2 as pb
from conductor.errors import ConfigurationError
from conductor.v1 import run_service_pb2
from servicekit.metrics import page as page_of_metrics
from tests.conductor.running_conductor import agent_step, running_conductor
from tests.docs.pages import page as documented
from tests.fakes.execution_host import ExecutionHost, finished, said, started
from tests.kit.metrics import Scraped, scrape

pytestmark = pytest.mark.processes


@pytest.fixture(autouse=True)
def _always_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_of_metrics, "PAGE_SECONDS", 0.0)


async def test_a_scrape_counts_runs_steps_and_attempts_by_their_outcome(tmp_path: Path) -> None:
    """Keeps K11 and K4."""
    host = ExecutionHost((started(), said("well"), finished()))
    async with running_conductor(tmp_path, hosts={"alpha": host}, metrics=f"unix:{tmp_path}/metrics.sock") as it:
        before = await scrape(tmp_path / "metrics.sock")
        run = await it.create(agent_step("one"), agent_step("two", "one"))
        assert (await it.settled(run.name)).state == run_service_pb2.Run.STATE_SUCCEEDED
        host.script = (started(), finished(pb.Finished.OUTCOME_FAILED))
        failed = await it.create(agent_step("three"))
        await it.settled(failed.name)
        page = await _next(tmp_path / "metrics.sock", "conductor_runs_ended_total", 1, state="failed")

    assert before.value("conductor_runs_created_total") == 0
    assert page.value("conductor_runs_created_total") == 2
    assert page.value("conductor_runs_ended_total", state="succeeded") == 1
    assert page.value("conductor_run_duration_seconds_count", state="succeeded") == 1
    assert page.value("conductor_steps_ended_total", kind="agent", state="succeeded") == 2
    assert page.value("conductor_steps_ended_total", kind="agent", state="failed") == 1
    assert page.value("conductor_attempts_created_total") == 3
    assert page.value("conductor_attempts_ended_total", state="succeeded", cause="") == 2
    assert page.value("conductor_attempt_duration_seconds_count", state="failed") == 1
    assert page.value("conductor_step_queue_seconds_count") == 3
    assert page.value("conductor_sandbox_proofs_total", mechanism="fake 1") == 3
    assert page.value("conductor_hosts", state="ready") == 1
    assert page.value("conductor_host_slots", host="alpha") == 8
    assert page.value("conductor_host_sandbox_proven", host="alpha") == 1
    assert page.value("conductor_store_commit_seconds_count") > 5
    assert page.value("conductor_database_bytes", file="database") > 0
    assert page.value("process_resident_memory_bytes") > 0


async def test_no_label_names_a_run_a_step_or_a_workspace(tmp_path: Path) -> None:
    host = ExecutionHost((started(), finished()))
    async with running_conductor(tmp_path, hosts={"alpha": host}, metrics=f"unix:{tmp_path}/metrics.sock") as it:
        run = await it.create(agent_step("unmistakable"))
        await it.settled(run.name)
        page = await _next(tmp_path / "metrics.sock", "conductor_runs_ended_total", 1, state="succeeded")

    labels = {value for _, labels in page.samples for _, value in labels}
    assert not {label for label in labels if run.name[-26:] in label or "unmistakable" in label or "/" in label}
    assert not [name for name in page.families if not re.fullmatch(r"(conductor|process)_[a-z_]+", name)]


async def test_the_page_on_monitoring_names_every_metric_of_a_conductor(tmp_path: Path) -> None:
    async with running_conductor(tmp_path, metrics=f"unix:{tmp_path}/metrics.sock"):
        page = await scrape(tmp_path / "metrics.sock")

    rows = documented("monitoring").table("Metrics of a conductor")
    told = {name.strip("`"): labels for name, labels, _ in rows}
    there = {f"{family.name}_total" if family.type == "counter" else family.name for family in page.families.values()}
    assert set(told) == {name for name in there if not name.startswith("process_")}


async def test_without_the_library_the_flag_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [
        name for name in sys.modules if name.startswith(("conductor.telemetry.metrics", "servicekit.metrics"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match="--metrics needs a library") as caught:
        async with running_conductor(tmp_path, metrics=f"unix:{tmp_path}/metrics.sock"):
            pass

    assert caught.value.hint == "pip install 'conductor-agenthost[metrics]'"


async def test_a_host_that_tells_nonsense_neither_ends_the_engine_nor_turns_a_counter_back(tmp_path: Path) -> None:
    """Keeps K11; everything from outside is hostile."""
    lies = pb.Finished(
        outcome=pb.Finished.OUTCOME_FAILED,
        denial_count=-5,
        usage=pb.Usage(input_tokens=-(2**63), output_tokens=2**63 - 1),
        model_use=pb.ModelUse(requests=-1, refused=-1, broken=2**31 - 1, rate_limited=-1, model="m" * 100_000),
    )
    lies.model_use.traced_requests.add(span_id="x" * 1000, status=-1)
    host = ExecutionHost((started(), pb.ExecuteResponse(finished=lies)))
    async with running_conductor(tmp_path, hosts={"alpha": host}, metrics=f"unix:{tmp_path}/metrics.sock") as it:
        await it.settled((await it.create(agent_step("one"))).name)
        host.script = (started(), finished())
        assert (
            await it.settled((await it.create(agent_step("two"))).name)
        ).state == run_service_pb2.Run.STATE_SUCCEEDED
        page = await _next(tmp_path / "metrics.sock", "conductor_runs_ended_total", 1, state="succeeded")

    assert page.value("conductor_sandbox_denials_total") == 0
    assert all(value >= 0 for value in page.samples.values())
    assert max(len(value) for _, labels in page.samples for _, value in labels) <= 100


async def _next(path: Path, name: str, value: float, **labels: str) -> Scraped:
    """Scrapes until a series has a value: one page serves all readers for a second."""
    async with asyncio.timeout(20):
        while (page := await scrape(path)).value(name, **labels) != value:
            await asyncio.sleep(0.1)
    return page
