"""What a host's message means to the core."""

from agenthost.v1 import host_service_pb2 as pb
from conductor.core.model.inputs import HostAgent, HostPool, HostReported
from conductor.hosts.host_view import reported


def test_an_agent_has_the_pool_and_the_model_of_its_endpoint() -> None:
    """C12."""
    gpu = pb.Model(name="default", pool="gpu0", pool_slots=2, pool_is_local=True, model="qwen3")
    listed = pb.Model(name="other", pool="gpu1", pool_slots=1, listed=[pb.ListedModel(name="llama")])
    unknown = pb.Model(name="third", pool="gpu1", pool_slots=3)
    names = [pb.ListedModel(name="nomic-embed-text"), pb.ListedModel(name="tiny-chat")]
    usual = pb.Model(name="fifth", pool="gpu1", pool_slots=1, listed=names, usual_model="tiny-chat")
    agents = [
        pb.Agent(name=name, available=True, model=name) for name in ("default", "other", "third", "fourth", "fifth")
    ]

    told = reported("h1", pb.Host(slots=4, agents=agents, models=[gpu, listed, unknown, usual]))

    assert told.agents == (
        HostAgent("default", pool="gpu0", model="qwen3"),
        HostAgent("other", pool="gpu1", model="llama"),
        HostAgent("third", pool="gpu1", model="models.third"),
        HostAgent("fourth"),
        HostAgent("fifth", pool="gpu1", model="tiny-chat"),
    )
    assert told.pools == (HostPool("gpu0", 2, is_local=True), *(HostPool("gpu1", slots) for slots in (1, 3, 1)))


def test_a_host_that_reports_no_pools_has_none() -> None:
    """K7: a host of f9ac01c, and one whose models have no pool yet."""
    agents = [pb.Agent(name="reader", available=True, model="default")]

    told = reported("h1", pb.Host(slots=4, agents=agents, models=[pb.Model(name="default")]))

    assert told == HostReported("h1", connected=True, slots=4, agents=(HostAgent("reader"),))
