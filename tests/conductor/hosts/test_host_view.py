"""What a host's message means to the core."""

from google.protobuf.duration_pb2 import Duration

from agenthost.v1 import host_service_pb2 as pb
from conductor.core.model.inputs import HostAgent, HostPool, HostReported, Reach
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
        HostAgent("default", pool="gpu0", model="qwen3", reach=Reach.NEAR),
        HostAgent("other", pool="gpu1", model="llama", reach=Reach.ANYWHERE),
        HostAgent("third", pool="gpu1", model="models.third", reach=Reach.ANYWHERE),
        HostAgent("fourth", reach=Reach.ANYWHERE),
        HostAgent("fifth", pool="gpu1", model="tiny-chat", reach=Reach.ANYWHERE),
    )
    assert told.pools == (HostPool("gpu0", 2, is_local=True), *(HostPool("gpu1", slots) for slots in (1, 3, 1)))


def test_a_host_that_reports_no_pools_has_none() -> None:
    """K7: a host of f9ac01c, and one whose models have no pool yet."""
    agents = [pb.Agent(name="reader", available=True, model="default")]

    told = reported("h1", pb.Host(slots=4, agents=agents, models=[pb.Model(name="default")]))

    assert told == HostReported("h1", connected=True, slots=4, agents=(HostAgent("reader", reach=Reach.ANYWHERE),))


def test_only_an_agent_without_a_model_may_name_places_without_quotes_whatever_its_host_says() -> None:
    agents = [
        pb.Agent(name="ruff", available=True, features=["findings", "places"]),
        pb.Agent(name="reader", available=True, features=["findings", "places"], model="default"),
        pb.Agent(name="survey", available=True, features=["findings"]),
    ]
    told = reported("h1", pb.Host(slots=4, agents=agents))

    assert [agent.name for agent in told.agents if agent.names_places] == ["ruff"]


def test_a_time_of_any_size_is_read() -> None:
    """A host may send anything."""
    models = [
        pb.Model(name=f"m{seconds}", pool="gpu0", quiet_time=Duration(seconds=seconds)) for seconds in (2**62, -(2**62))
    ]

    assert reported("h1", pb.Host(models=models)).quiet == (("gpu0", float(2**62)), ("gpu0", -float(2**62)))


def test_what_an_agent_reaches_is_told_whether_it_can_run_or_not_and_labels_as_they_are() -> None:
    agents = [pb.Agent(name="survey", available=True), pb.Agent(name="cloud", model="far"), pb.Agent(name="toy")]

    told = reported("h1", pb.Host(slots=4, agents=agents, labels={"zone": "a", "gpu": "yes"}))

    assert [agent.reach for agent in (*told.agents, *told.unusable)] == [Reach.NOTHING, Reach.ANYWHERE, Reach.NOTHING]
    assert told.labels == (("gpu", "yes"), ("zone", "a"))
