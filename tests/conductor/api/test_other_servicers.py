"""Flows, hosts and the server itself, over the real server. Keeps A1 A2 A3 K5 D1."""

from pathlib import Path
from typing import Any

import pytest

from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import pool_service_pb2 as pool_pb
from conductor.v1 import server_service_pb2 as server_pb
from tests.conductor.running_conductor import Running, refusal, running_conductor
from tests.fakes.execution_host import ExecutionHost
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

GOOD = "steps:\n  - id: end\n    fold: {template: done}\n"


@pytest.fixture
async def it(tmp_path: Path) -> Any:
    folder = tmp_path / "project" / ".conductor" / "flows"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(GOOD)
    (folder / "broken.yaml").write_text("steps: [\n")
    hosts = {name: ExecutionHost() for name in ("alpha", "beta", "gamma")}
    async with running_conductor(tmp_path, hosts=hosts, project=tmp_path / "project") as running:
        yield running


async def test_flows_are_listed_by_name_in_pages_with_what_is_wrong_with_others(it: Running) -> None:
    whole = await it.flows.ListFlows(flow_pb.ListFlowsRequest())
    names = [flow.name for flow in whole.flows]
    assert names == sorted(names)
    assert {"flows/mine", "flows/survey"} <= set(names)
    assert [Path(problem.path).name for problem in whole.problems] == ["broken.yaml"]

    paged, token = [], ""
    while True:
        page = await it.flows.ListFlows(flow_pb.ListFlowsRequest(page_size=1, page_token=token))
        paged += [flow.name for flow in page.flows]
        token = page.next_page_token
        if not token:
            break
    assert paged == names


async def test_one_flow_is_given_by_name(it: Running) -> None:
    flow = await it.flows.GetFlow(flow_pb.GetFlowRequest(name="flows/mine"))
    assert flow.layer == flow_pb.Flow.LAYER_PROJECT
    assert len(flow.revision) == 64

    told = await refusal(it.flows.GetFlow(flow_pb.GetFlowRequest(name="flows/none")))
    assert (told.code, told.reason) == ("NOT_FOUND", "FLOW_NOT_FOUND")
    told = await refusal(it.flows.GetFlow(flow_pb.GetFlowRequest(name="flows/broken")))
    assert (told.code, told.reason) == ("INVALID_ARGUMENT", "FLOW_INVALID")
    assert "broken.yaml:" in told.violations[0][1]
    told = await refusal(it.flows.GetFlow(flow_pb.GetFlowRequest()))
    assert told.violations[0][0] == "name"


async def test_a_flow_is_judged_and_its_problems_are_the_answer(it: Running) -> None:
    good = await it.flows.ValidateFlow(flow_pb.ValidateFlowRequest(yaml=GOOD))
    assert (list(good.problems), len(good.revision)) == ([], 64)

    bad = await it.flows.ValidateFlow(flow_pb.ValidateFlowRequest(yaml=GOOD + "colour: red\n", path="f.yaml"))
    assert [(problem.path, problem.line) for problem in bad.problems] == [("f.yaml", 4)]
    assert bad.revision == ""

    as_message = await it.flows.ValidateFlow(flow_pb.ValidateFlowRequest(flow=flow_pb.Flow()))
    assert as_message.problems[0].line == 0

    for asked, field in (
        (flow_pb.ValidateFlowRequest(), "yaml"),
        (flow_pb.ValidateFlowRequest(yaml="#" * (1024 * 1024 + 1)), "yaml"),
        (flow_pb.ValidateFlowRequest(yaml=GOOD, path="x" * 1001), "path"),
    ):
        told = await refusal(it.flows.ValidateFlow(asked))
        assert told.violations[0][0] == field


async def test_hosts_are_listed_by_name_connected_or_not(it: Running) -> None:
    await until(lambda: all(teller.told for teller in it.tellers.values()))
    first = await it.pool.ListHosts(pool_pb.ListHostsRequest(page_size=2))
    rest = await it.pool.ListHosts(pool_pb.ListHostsRequest(page_size=2, page_token=first.next_page_token))
    assert [host.name for host in [*first.hosts, *rest.hosts]] == ["hosts/alpha", "hosts/beta", "hosts/gamma"]
    assert rest.next_page_token == ""

    async def ready() -> pool_pb.Host:
        host: pool_pb.Host = await it.pool.GetHost(pool_pb.GetHostRequest(name="hosts/alpha"))
        return host

    while (host := await ready()).state != pool_pb.Host.STATE_READY:
        pass
    assert (host.slots, host.running, host.sandbox_mechanism) == (8, 0, "fake 1")
    assert [agent.name for agent in host.agents] == ["scripted"]

    told = await refusal(it.pool.GetHost(pool_pb.GetHostRequest(name="hosts/absent")))
    assert (told.code, told.reason) == ("NOT_FOUND", "HOST_NOT_FOUND")
    assert dict(told.metadata)["known"] == "hosts/alpha, hosts/beta, hosts/gamma"
    told = await refusal(it.pool.GetHost(pool_pb.GetHostRequest(name="hosts/alpha/x")))
    assert told.violations[0][0] == "name"
    told = await refusal(it.pool.ListHosts(pool_pb.ListHostsRequest(page_token="x")))
    assert told.violations[0][0] == "page_token"


async def test_the_server_says_what_it_is_and_what_is_in_force(it: Running) -> None:
    info = await it.server.GetServerInfo(server_pb.GetServerInfoRequest())

    assert info.epoch == 1
    assert info.conductor_id
    assert info.address == it.target
    assert info.version
    assert (info.role, info.store, info.active_address) == ("active", "sqlite", it.target)
    assert info.unfinished_runs == 0
    assert info.settings["limits.unfinished_runs"] == "200"
    assert info.limits["request_bytes"] == 4 * 1024 * 1024
    assert info.limits["calls.streams"] == 2000
    assert info.limits["keepalive.min_ping_interval_ms"] == 2000
    assert all(limit > 0 for limit in info.limits.values())
    assert "hosts.alpha" in info.settings
