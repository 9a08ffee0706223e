"""Rule 15: state stays small, whatever hosts and authors say."""

import pytest

from conductor.core.model.commands import Record, StartExecution
from conductor.core.model.events.event_parts import Confinement, FindingCounts
from conductor.core.model.events.run_events import Event, RunCreated
from conductor.core.model.inputs import (
    AgentFinished,
    AgentStarted,
    ExecutionLost,
    ExecutionRefused,
    HostAgent,
    HostPool,
    HostReported,
    RequestCancel,
)
from conductor.core.model.plan import RetryPlan
from conductor.core.model.states import AttemptState, Failure
from conductor.core.model.truncation import cut_text
from conductor.core.model.work import Folded, GuardDecided, PromptRendered, WorkFailed, WorkKind
from conductor.store.codec import decode_event, encode
from tests.conductor.core.bench import Bench, asks, folds

MOST_BYTES = 4096
HUGE = ("long ", "ä", "→", "🙂", '"\\\n\x00', "\ud800")
DIGEST = "d" * 64


def confinement(text: str) -> Confinement:
    return Confinement(text, text, (text,) * 50, 65534, text, text, (text,) * 50)


class Recorder(Bench):
    """A bench that keeps the size of every event."""

    def sizes(self) -> list[tuple[int, str]]:
        """The largest first."""
        events = [event for _, event in self.events if not isinstance(event, RunCreated)]
        return sorted(((len(encode(event)), type(event).__name__) for event in events), reverse=True)


@pytest.mark.parametrize("piece", HUGE)
def test_no_event_is_larger_than_4_kib_whatever_is_said(piece: str) -> None:
    text = piece * 20_000
    bench = Recorder()
    bench.host("h1", 8, "survey")
    name = "s" * 40
    many = tuple((f"p{number}", text[:4000]) for number in range(32))
    bench.launch(
        asks(name, agent={"parameters": many, "retries": RetryPlan(infrastructure=9)}, attempts=9),
        asks("skipped", has_skip_guard=True),
        asks("broken"),
        folds("folded"),
    )
    bench.answer(WorkKind.SKIP_GUARD, "skipped", GuardDecided(skip=True, reason=text))
    bench.answer(WorkKind.FOLD, "folded", Folded(DIGEST, DIGEST, FindingCounts(1, 2, 3)))
    bench.queue(name)
    bench.report(bench.attempt(name).id, 1, AgentStarted(confinement(text)))
    bench.report(
        bench.attempt(name).id, 2, AgentFinished(AttemptState.FAILED, "SHIM_LOST", text, confinement=confinement(text))
    )
    bench.wake()
    bench.take(ExecutionRefused(bench.attempt(name).id, text, text, retryable=True))
    bench.wake()
    bench.take(ExecutionLost(bench.attempt(name).id, text))
    bench.answer(WorkKind.PROMPT, "broken", WorkFailed(Failure("PROMPT_BUILD_FAILED", text)))
    bench.answer(WorkKind.REPORT, answer=WorkFailed(Failure("REPORT_FAILED", text)))

    assert bench.run.is_settled
    assert [told for told in bench.sizes() if told[0] > MOST_BYTES] == []
    for _, event in bench.events:
        assert decode_event(type(event).__name__, encode(event)) == event


@pytest.mark.parametrize("piece", HUGE)
@pytest.mark.parametrize("asked", ["", "model"])
def test_no_event_is_larger_whatever_a_host_calls_itself_its_pools_and_its_models(piece: str, asked: str) -> None:
    name = piece * 20_000
    bench = Recorder()
    agents = (HostAgent("survey", "1", pool=name, model=name),)
    pools = (HostPool(name, 1, is_local=True),)
    bench.take(HostReported("h1", connected=True, slots=8, agents=agents, pools=pools, instance=name))
    parameters = ((asked, name[:4000]),) if asked else ()
    bench.launch(*(asks(step, agent={"parameters": parameters}) for step in ("one", "two")))
    bench.queue("one")
    bench.queue("two")

    assert sorted(bench.states().values()) == ["queued", "running"]  # the pool has one slot
    assert [told for told in bench.sizes() if told[0] > MOST_BYTES] == []


def test_a_reason_to_cancel_is_cut_as_well() -> None:
    bench = Recorder()
    bench.launch(*(asks(f"s{number}") for number in range(3)))

    bench.take(RequestCancel(bench.run.id, "→" * 5000))

    assert bench.sizes()[0][0] <= MOST_BYTES


@pytest.mark.parametrize("text", ["", "short", "x" * 800, "ä" * 133])
def test_what_fits_is_kept_as_it_is(text: str) -> None:
    assert cut_text(text) == text


def test_what_is_cut_says_so() -> None:
    assert cut_text("x" * 801).endswith("x [… cut]")
    assert len(encode(Failure("R", cut_text("→" * 1000)))) < 900


def test_parameters_are_stored_once_and_sent_with_every_attempt() -> None:
    """Keeps rule 3: after a restart, the same Start."""
    bench = Bench()
    bench.host()
    bench.launch(asks("one", agent={"parameters": (("lens", "risks"),)}))
    bench.queue("one")
    (sent,) = [command for command in bench.last.to_send if getattr(command, "start", None)]

    (again,) = [command for command in bench.crash() if getattr(command, "start", None)]

    assert again == sent
    assert sent.start.parameters == (("lens", "risks"),)  # type: ignore[union-attr]
    (created,) = [item.event for item in bench.last.to_store if isinstance(item, Record) and _is_created(item.event)]
    assert created.start.parameters == ()  # type: ignore[union-attr]


def test_rendered_parameters_are_stored_with_the_prompt_and_sent_again_as_they_were() -> None:
    """Keeps rule 3 and F1."""
    bench = Bench()
    bench.host("h1", 8, "reader", "survey", models={"reader": (HostPool("gpu0", 4), "qwen")})
    for agent in ("reader", "survey"):
        asked = {"parameters": (("lens", "{{ band }}"),), "model": "{{ inputs.model }}"}
        bench.launch(asks("one", agents=(agent,), agent=asked), run=f"{agent:a<26}")
        rendered = PromptRendered("prompt", (("lens", "small"), ("model", "qwen3")))
        bench.answer(WorkKind.PROMPT, "one", rendered, f"{agent:a<26}")
    sent = [command for command in bench.commands if isinstance(command, StartExecution)]

    again = [command for command in bench.crash() if isinstance(command, StartExecution)]

    assert again == sent
    assert [command.start.parameters for command in sent] == [
        (("lens", "small"), ("model", "qwen3")),
        (("lens", "small"),),  # this agent asks no model
    ]
    assert bench.attempt("one", f"{'reader':a<26}").model == "qwen3"


def _is_created(event: Event) -> bool:
    return type(event).__name__ == "AttemptCreated"


def test_runs_that_ended_leave_memory() -> None:
    bench = Bench()
    bench.host()
    for number in range(20):
        run = f"{number:026d}"
        bench.launch(folds("one"), run=run)
        bench.answer(WorkKind.FOLD, "one", run=run)
        bench.answer(WorkKind.REPORT, run=run)

    assert bench.state.ongoing == {}
