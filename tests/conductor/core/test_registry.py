"""Hosts that come and go while runs are at work: nothing is lost by it, and nothing runs twice. Keeps C3 and C9."""

from dataclasses import replace

import pytest

from conductor.core.conversation import Conversation, StreamEnd
from conductor.core.decide.recover import recover_host
from conductor.core.model.commands import (
    Accepted,
    CancelExecution,
    CloseHost,
    OpenHost,
    Rejected,
    ResumeExecution,
    StartExecution,
)
from conductor.core.model.conductor_state import Limits
from conductor.core.model.events.event_parts import Confinement
from conductor.core.model.events.run_events import StepWaits
from conductor.core.model.inputs import AgentStarted, HostAgent, HostReported
from conductor.core.model.registry import (
    HostEntry,
    HostRequest,
    RequestAddHost,
    RequestDrainHost,
    RequestRemoveHost,
    list_entries,
)
from tests.conductor.core.bench import RUN, Bench, asks

LOST_AFTER = Limits().lost_after


def with_hosts(**hosts: str) -> Bench:
    """A bench with hosts that were added, each at its address, connected."""
    bench = Bench()
    for name, address in hosts.items():
        bench.take(RequestAddHost(name, address))
        report(bench, name, address)
    return bench


def report(bench: Bench, name: str, address: str, instance: str = "one", *, connected: bool = True) -> None:
    agents = (HostAgent("survey"),) if connected else ()
    bench.take(HostReported(name, connected, slots=1, agents=agents, instance=instance, address=address))


def begin(bench: Bench, step: str = "s") -> str:
    """Launches a run whose step begins; returns its attempt."""
    bench.launch(asks(step))
    bench.queue(step)
    attempt = bench.attempt(step).id
    bench.report(attempt, 1, AgentStarted(Confinement()))
    return attempt


def reason(bench: Bench, request: HostRequest) -> str:
    bench.take(request)
    (reply,) = bench.last.replies
    return reply.reason if isinstance(reply, Rejected) else ""


def test_a_host_is_opened_after_its_entry_is_stored_and_once() -> None:
    bench = Bench()
    first = bench.take(RequestAddHost("h1", "a:1", request_id="id", request_digest="d"))
    again = bench.take(RequestAddHost("h1", "a:1"))

    (stored,) = first.hosts
    assert (stored.entry, stored.request_id, first.durable) == (HostEntry("h1", "a:1"), "id", True)
    assert first.to_send == (OpenHost("h1", "a:1"),)
    assert (again.to_send, [type(reply) for reply in again.replies]) == ((), [Accepted])


def test_each_request_that_cannot_be_met_has_its_reason() -> None:
    bench = Bench(Limits(hosts=2))
    bench.state = replace(bench.state, registry=list_entries({"named": "n:1"}, ()))
    bench.take(RequestAddHost("h1", "a:1"))
    cases = [
        (RequestAddHost("h2", "b:1"), "NO_CAPACITY"),
        (RequestAddHost("h2", "a:1"), "HOST_EXISTS"),
        (RequestAddHost("h1", "b:1"), "HOST_EXISTS"),
        (RequestAddHost("h1", "n:1", moves=True), "HOST_EXISTS"),
        (RequestAddHost("named", "b:1", moves=True), "HOST_CONFIGURED"),
        (RequestRemoveHost("named", is_forced=True), "HOST_CONFIGURED"),
        (RequestRemoveHost("h9"), "HOST_NOT_FOUND"),
        (RequestDrainHost("h9"), "HOST_NOT_FOUND"),
    ]

    assert [reason(bench, request) for request, _ in cases] == [expected for _, expected in cases]


def test_a_removed_hosts_attempt_is_given_up_no_sooner_than_that_of_a_silent_host() -> None:
    bench = with_hosts(h1="a:1", h2="b:1")
    attempt = begin(bench)
    host = bench.attempt("s").host
    assert reason(bench, RequestRemoveHost(host)) == "HOST_BUSY"
    removed = bench.take(RequestRemoveHost(host, is_forced=True))
    bench.take(later=LOST_AFTER - 1)

    assert removed.to_send == (CloseHost(host),)
    assert bench.attempt("s").is_live
    for _ in range(3):
        bench.wake()
        if not bench.runs[RUN].steps["s"].attempts[0].is_live:
            break
    lost = bench.step("s").attempts[0]
    assert (lost.state, lost.id) == ("lost", attempt)
    assert "was removed" in (lost.end.failure.message if lost.end.failure else "")
    assert bench.sent(CancelExecution, bench.commands)


@pytest.mark.parametrize("address", ["a:1", "b:2"])
def test_the_attempts_of_a_host_that_is_added_again_resume_there(address: str) -> None:
    bench = with_hosts(h1="a:1")
    attempt = begin(bench)
    bench.take(RequestRemoveHost("h1", is_forced=True))
    bench.take(later=LOST_AFTER / 2)
    bench.take(RequestAddHost("h1", address))
    owed = recover_host(bench.state, "h1")
    report(bench, "h1", address)
    bench.take(later=LOST_AFTER)

    assert owed == (ResumeExecution("h1", attempt, 1, "one"),)
    assert bench.attempt("s").is_live


def test_a_host_that_is_added_again_with_another_data_folder_is_waited_for() -> None:
    """The other folder knows nothing of the attempt: it counts as silent, and nothing starts in its place before."""
    bench = with_hosts(h1="a:1")
    begin(bench)
    bench.take(RequestRemoveHost("h1", is_forced=True))
    bench.take(RequestAddHost("h1", "b:2"))
    report(bench, "h1", "b:2", instance="two")
    bench.take(later=LOST_AFTER - 1)
    assert bench.attempt("s").is_live
    while bench.step("s").attempts[0].is_live:
        bench.wake()

    assert bench.step("s").attempts[0].state == "lost"


def test_a_removed_host_is_forgotten_with_the_next_change_unless_an_attempt_waits_for_it() -> None:
    busy, idle = with_hosts(h1="a:1"), with_hosts(h1="a:1")
    begin(busy)
    for bench in (busy, idle):
        bench.take(RequestRemoveHost("h1", is_forced=True))
        bench.take(RequestAddHost("h2", "b:1"))

    assert "h1" in busy.state.hosts
    assert "h1" not in idle.state.hosts


def test_what_a_closed_link_reports_counts_for_nothing() -> None:
    bench = with_hosts(h1="a:1")
    bench.take(RequestRemoveHost("h1"))
    before = bench.state.hosts
    report(bench, "h1", "a:1")
    bench.launch(asks("s"))
    bench.queue("s")

    assert bench.state.hosts == before
    assert not bench.step("s").attempts


def test_a_host_that_moves_is_silent_until_it_answers_at_its_new_address() -> None:
    bench = with_hosts(h1="a:1")
    moved = bench.take(RequestAddHost("h1", "b:2", moves=True))
    report(bench, "h1", "a:1")
    assert not bench.state.hosts["h1"].connected
    report(bench, "h1", "b:2")

    assert moved.to_send == (CloseHost("h1"), OpenHost("h1", "b:2"))
    assert bench.state.hosts["h1"].connected


def test_a_start_that_the_link_before_may_have_sent_is_blocked_before_its_refusal_counts() -> None:
    bench = with_hosts(h1="a:1")
    bench.launch(asks("s"))
    bench.queue("s")
    bench.take(RequestAddHost("h1", "b:2", moves=True))
    (start,) = recover_host(bench.state, "h1")
    assert isinstance(start, StartExecution)
    talk = Conversation(start.start.execution)
    talk.hear(start)
    talk.begin_stream()
    refusal = talk.judge(StreamEnd("RESOURCE_EXHAUSTED", "NO_CAPACITY"))

    assert not refusal.is_over
    assert talk.to_start is None


def test_nothing_starts_on_a_drained_host_and_what_was_started_goes_on() -> None:
    bench = with_hosts(h1="a:1")
    attempt = begin(bench)
    drained = bench.take(RequestDrainHost("h1", "token:ci"))
    report(bench, "h1", "a:1")  # its report does not undo the drain
    bench.finish("s")
    bench.launch(asks("t"), run="01k" + "b" * 23)
    bench.queue("t", run="01k" + "b" * 23)
    (wait,) = bench.stored(StepWaits)
    assert isinstance(wait, StepWaits)
    bench.take(RequestDrainHost("h1", takes_back=True))

    (change,) = drained.hosts
    drain = change.entry.drain if change.entry is not None else None
    assert drain is not None
    assert drain.by == "token:ci"
    assert [(one.id, one.state) for one in bench.step("s").attempts] == [(attempt, "succeeded")]
    assert "conductor hosts undrain h1" in wait.text
    assert bench.sent(StartExecution) == ["t"]


def test_a_drain_of_a_configured_host_outlives_a_restart_and_a_change_of_its_address() -> None:
    bench = Bench()
    bench.state = replace(bench.state, registry=list_entries({"h1": "a:1"}, ()))
    (change,) = bench.take(RequestDrainHost("h1", "ann")).hosts
    assert change.entry is not None
    after = list_entries({"h1": "b:2"}, [change.entry])
    without = list_entries({}, [change.entry])
    (undrained,) = bench.take(RequestDrainHost("h1", takes_back=True)).hosts

    assert (after["h1"].address, after["h1"].drain, after["h1"].is_configured) == ("b:2", change.entry.drain, True)
    assert without == {}
    assert undrained.entry is None
