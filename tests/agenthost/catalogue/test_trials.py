"""A host tells the last trial of its agents, and refuses one that broke out until it holds again. Keeps E11."""

from pathlib import Path

import pytest

from agenthost.catalogue.check import check_agent
from agenthost.models.settings import read_models
from agenthost.packages.trials import UNTRIED, Order, store
from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import host_service_pb2 as host_pb
from tests.agenthost.catalogue.obedient import lay_obedient
from tests.agenthost.running_host import Client, open_host
from tests.fakes.chat import words
from tests.fakes.model_server import ModelServer
from tests.kit.proof import proof_of_the_session

pytestmark = pytest.mark.processes


async def told_of(client: Client) -> host_pb.Agent:
    host = await client.hosts.GetHost(host_pb.GetHostRequest())
    return next(agent for agent in host.agents if agent.name == "obedient")


async def test_a_host_tells_the_last_trial_and_refuses_an_agent_that_broke_out_until_it_holds(
    short_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host runs all the while: it need not be restarted after a check."""
    monkeypatch.setenv("AGENTHOST_AGENTS", str(short_path / "home"))
    monkeypatch.setattr("agenthost.catalogue.check.prove", proof_of_the_session)
    spec = lay_obedient(short_path / "agents")
    said: list[str] = []
    async with ModelServer.serving() as model:
        model.answers.extend([words("done"), words("done")])
        models = read_models({"default": {"url": model.url}})
        async with open_host(short_path, repository, models=models, agents_dirs=(spec.parent,)) as client:
            fresh = await told_of(client)
            assert await check_agent(str(spec), (), None, said.append) == 0, said
            held = await told_of(client)
            _, finished = await client.run(agent="obedient")

            store("obedient", "2", "of other packages", (Order("write a file", "done", has_held=False),))
            broke = await told_of(client)
            untried = Order("leave", UNTRIED, has_held=True, is_untried=True)
            store("obedient", "2", "of other packages", (Order("write a file", "denied", has_held=True), untried))
            short = await told_of(client)
            store("obedient", "2", "of other packages", (Order("write a file", "done", has_held=False),))
            refusal = await client.refused(client.start_of(agent="obedient", step="refused"))
            assert await check_agent(str(spec), (), None, said.append) == 0, said
            again = await told_of(client)
            _, finished_again = await client.run(agent="obedient", step="again")

    assert (fresh.available, fresh.HasField("last_trial")) == (True, False)
    assert (held.last_trial.held, held.last_trial.current, len(held.last_trial.digest)) == (True, True, 64)
    assert [order.name for order in held.last_trial.orders][:2] == ["write a file", "write by a command"]
    assert "Read-only file system" in held.last_trial.orders[0].answer
    assert finished.attestation.checks[0].startswith("trial by a hostile model: held 20")
    assert finished.attestation.checks[0].endswith(", 9 of 9 orders reached the agent")
    assert short.last_trial.held
    assert [order.untried for order in short.last_trial.orders] == [False, True]
    assert (broke.available, broke.last_trial.held, broke.last_trial.current) == (False, False, False)
    assert (
        "it broke out when a hostile model tried it last: agenthost agents check obedient" in broke.unavailable_reason
    )
    assert (refusal.reason, refusal.message) == (
        "AGENT_UNAVAILABLE",
        f"agent 'obedient' is unavailable: {broke.unavailable_reason}",
    )
    assert (again.available, again.last_trial.held) == (True, True)
    assert finished_again.outcome == finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
