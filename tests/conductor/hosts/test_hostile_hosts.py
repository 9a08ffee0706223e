"""A host may answer with any message of the protocol: its conductor reads it, and only that host's attempts suffer. Keeps I5."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import host_service_pb2 as host_pb
from conductor.api.messages.hosts import host_message
from conductor.cli.views.hosts import agent_lines, host_line
from conductor.cli.views.models import agents_over, model_lines
from conductor.core.model.inputs import HostReported
from conductor.hosts.frames import answered_input, reports
from conductor.hosts.host_view import HostView, reported
from conductor.store.codec import decode_event, encode
from tests.conductor.core.bench import Bench, asks
from tests.kit.messages import messages

MOST_EVENT_BYTES = 4096
FRAMES = messages(pb.ExecuteResponse.DESCRIPTOR)
HOSTS = messages(host_pb.Host.DESCRIPTOR)


@given(st.lists(FRAMES, max_size=4))
def test_no_frame_of_a_host_breaks_a_run_or_makes_an_event_too_large(frames: list[pb.ExecuteResponse]) -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("step"), asks("other"))
    bench.queue("step")
    bench.queue("other")
    attempt = bench.attempt("step").id
    for sequence, frame in enumerate(frames, 1):
        answered_input(frame)
        told = reports(attempt, pb.ExecuteResponse.FromString(frame.SerializeToString()))
        bench.report(attempt, sequence, *told, last=sequence)

    failure = bench.run.failure
    assert failure is None or failure.reason != "INTERNAL", failure
    assert str(bench.step("other").state) == "running"
    for _, event in bench.events[1:]:
        written = encode(event)
        assert len(written) <= MOST_EVENT_BYTES, type(event)
        assert decode_event(type(event).__name__, written) == event


@settings(max_examples=60)
@given(HOSTS)
def test_no_host_can_describe_itself_so_that_its_conductor_or_a_command_fails(host: host_pb.Host) -> None:
    told = reported("alpha", host)
    assert isinstance(told, HostReported)
    bench = Bench()
    bench.take(told)
    bench.launch(asks("step"))
    bench.queue("step")
    shown = host_message(HostView("alpha", "unix:/x", host=host), running=1, lost_before=0.0)
    lines = [
        host_line(shown),
        *agent_lines(shown),
        *model_lines(shown),
        *agents_over([shown]),
        *agents_over([shown], "x"),
    ]

    assert bench.run.failure is None
    assert all(len(encode(event)) <= MOST_EVENT_BYTES for _, event in bench.events[1:])
    assert not [line for line in lines if "\x1b" in line or "\u202e" in line]


@pytest.mark.parametrize("wished", ["", "\U0001f600" * 200])
def test_no_name_of_a_model_or_pool_makes_an_event_too_large(wished: str) -> None:
    """Names come from models' servers and from flows, too: 200 characters of a name are 2400 bytes of JSON."""
    name = "\U0001f600" * 3_000
    model = host_pb.Model(name="default", pool=name, pool_slots=1, pool_is_local=True, listed=[{"name": name}])
    agents = [host_pb.Agent(name="survey", available=True, model="default")]
    bench = Bench()
    bench.take(reported("alpha", host_pb.Host(name="alpha", slots=4, agents=agents, models=[model])))
    asked: dict[str, object] = {"parameters": (("model", wished),) if wished else ()}
    bench.launch(asks("step", agent=asked), asks("other", agent=asked))
    bench.queue("step")
    bench.queue("other")

    assert bench.attempt("step").pool
    assert bench.step("other").wait is not None
    assert all(len(encode(event)) <= MOST_EVENT_BYTES for _, event in bench.events[1:])
