"""Lists of runs and of findings: complete, in order, and the same while rows arrive."""

import pytest

from conductor.core.model.events.event_parts import FindingCounts
from conductor.core.model.events.gate_events import RunPaused, RunResumed
from conductor.core.model.events.run_events import RunCancelRequested, RunSettled, RunStarted
from conductor.core.model.states import Failure, PauseCause, RunState
from conductor.errors import NotFoundError
from conductor.store.port import Store
from conductor.store.records import FindingKey, RunFilter, RunKey
from tests.conductor.store.material import creation, events, finding, findings, plan, run_name, settlement

RUN = run_name(1)


async def names(store: Store, wanted: RunFilter, page_size: int = 500) -> list[int]:
    page = await store.runs(wanted, page_size)
    return [int(row.run) for row in page.rows]


async def test_each_of_250_runs_is_listed_once_while_new_ones_arrive(store: Store) -> None:
    """Keeps B6."""
    for number in range(250):
        await store.append(creation(run_name(number)), float(number // 3))  # three at the same time
    seen: list[int] = []
    before: RunKey | None = None
    arriving = 1000
    while True:
        page = await store.runs(RunFilter(), 20, before)
        seen += [int(row.run) for row in page.rows]
        await store.append(creation(run_name(arriving)), float(arriving))
        arriving += 1
        if page.next is None:
            break
        before = page.next

    assert seen == list(reversed(range(250)))


async def test_the_last_page_says_so(store: Store) -> None:
    for number in range(4):
        await store.append(creation(run_name(number)), float(number))

    first = await store.runs(RunFilter(), 2)
    assert first.next is not None
    second = await store.runs(RunFilter(), 2, first.next)

    assert [int(row.run) for row in second.rows] == [1, 0]
    assert second.next is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (RunFilter(), [4, 3, 2, 1]),
        (RunFilter(flow="flows/other"), [2]),
        (RunFilter(states=(RunState.SUCCEEDED,)), [3]),
        (RunFilter(states=(RunState.QUEUED, RunState.SUCCEEDED)), [4, 3, 2, 1]),
        (RunFilter(labels={"team": "x"}), [4, 1]),
        (RunFilter(labels={"team": "x", "kind": "night"}), [4]),
        (RunFilter(labels={'strange "key" $': "v"}), [3]),
        (RunFilter(workspace_path="/src/b"), [3]),
        (RunFilter(create_time_from=2.0, create_time_before=4.0), [3, 2]),
        (RunFilter(text="STRASSE"), [4]),
        (RunFilter(text="100%"), [2]),
        (RunFilter(text="_"), []),
        (RunFilter(flow="flows/other", text="slow"), []),
    ],
)
async def test_runs_are_filtered(store: Store, wanted: RunFilter, found: list[int]) -> None:
    """Keeps B6."""
    await store.append(creation(run_name(1), labels=(("team", "x"),)), 1.0)
    await store.append(creation(run_name(2), flow="flows/other", question="Is 100% covered?"), 2.0)
    await store.append(creation(run_name(3), workspace_path="/src/b", labels=(('strange "key" $', "v"),)), 3.0)
    await store.append(settlement(run_name(3)), 9.0)
    labels = (("team", "x"), ("kind", "night"))
    await store.append(creation(run_name(4), question="Wo ist die Straße?", labels=labels), 4.0)

    assert await names(store, wanted) == found


async def test_names_that_no_row_can_have_are_not_found(store: Store) -> None:
    """A caller may ask for anything, NUL included."""
    await store.append(creation(RUN, question="a\0b"), 1.0)

    assert await names(store, RunFilter(text="A\0B")) == [1]
    for wanted in (RunFilter(flow="a\0"), RunFilter(workspace_path="/src/a\0"), RunFilter(text="\0a")):
        assert await names(store, wanted) == []
    for name in ("a\0", f"{RUN}\0"):
        assert await store.requests([name]) == {}
        for ask in (store.run(name), store.channel(name, "answer", 0, 0), store.blob(RUN, name)):
            with pytest.raises(NotFoundError):
                await ask


async def test_the_question_of_a_long_plan_may_be_cut_in_lists(store: Store) -> None:
    await store.append(creation(RUN, question="why " * 10_000), 1.0)

    (row,) = (await store.runs(RunFilter(text="WHY why"), 10)).rows
    assert row.plan.question.startswith("why " * 250)
    (event,) = await store.events(RUN)
    assert event.event.plan.question == "why " * 10_000


async def test_a_row_follows_its_run(store: Store) -> None:
    await store.append(creation(RUN), 1.0)
    await store.append(events(RUN, RunStarted()), 2.0)
    await store.append(events(RUN, RunCancelRequested("enough")), 3.0)
    stopping = await store.run(RUN)
    failure = Failure("R", "m", step="risks")
    await store.append(events(RUN, RunSettled(RunState.CANCELLED, failure)), 4.0)

    row = await store.run(RUN)

    assert stopping.state is RunState.CANCELLING
    assert (row.state, row.create_time, row.start_time, row.end_time) == (RunState.CANCELLED, 1.0, 2.0, 4.0)
    assert row.failure == failure
    assert row.plan == plan(RUN, steps=())
    assert row.last_position == 4
    assert (await store.runs(RunFilter(), 10)).rows == (row,)


async def test_findings_come_most_severe_first_in_pages(store: Store) -> None:
    """Keeps F2."""
    await store.append(creation(RUN), 1.0)
    found = [
        finding(f"{number}", severity) for number, severity in enumerate(["low", "critical", "info", "low", "high"])
    ]
    await store.append(findings(RUN, "risks", found), 2.0)
    ids: list[str] = []
    after: FindingKey | None = None
    while True:
        page = await store.findings(RUN, 2, after)
        ids += [row.finding.lstrip("0") or "0" for row in page.rows]
        if page.next is None:
            break
        after = page.next

    assert ids == ["1", "4", "0", "3", "2"]


async def test_findings_are_filtered_by_severity_and_status(store: Store) -> None:
    await store.append(creation(RUN), 1.0)
    found = [finding("a", "high"), finding("b", "high", "missing"), finding("c", "low", "moved")]
    await store.append(findings(RUN, "risks", found), 2.0)

    severe = await store.findings(RUN, 10, max_rank=1)
    doubtful = await store.findings(RUN, 10, statuses=("missing", "moved"))

    assert [row.status for row in severe.rows] == ["verified", "missing"]
    assert [row.status for row in doubtful.rows] == ["missing", "moved"]


async def test_merged_findings_take_the_place_of_those_that_were_merged(store: Store) -> None:
    """Keeps F2."""
    await store.append(creation(RUN), 1.0)
    await store.append(findings(RUN, "risks", [finding("a"), finding("b")], FindingCounts(2, 0, 0)), 2.0)
    await store.append(findings(RUN, "docs", [finding("c")], FindingCounts(0, 0, 1)), 3.0)
    apart = await store.findings(RUN, 10)
    counts_apart = (await store.run(RUN)).counts

    await store.append(findings(RUN, "merge", [finding("a")], FindingCounts(1, 0, 0)), 4.0)
    merged = await store.findings(RUN, 10)

    assert [row.step for row in apart.rows] == ["risks", "risks", "docs"]
    assert counts_apart == FindingCounts(2, 0, 1)
    assert [row.step for row in merged.rows] == ["merge"]
    assert (await store.run(RUN)).counts == FindingCounts(1, 0, 0)


async def test_places_that_tools_named_are_counted_in_the_list(store: Store) -> None:
    await store.append(creation(RUN), 1.0)
    found = [finding("a"), finding("b", status="placed"), finding("c", status="placed")]
    await store.append(findings(RUN, "merge", found, FindingCounts(verified=1, placed=2)), 2.0)

    assert (await store.run(RUN)).counts == FindingCounts(verified=1, placed=2)
    assert [row.counts.placed for row in (await store.runs(RunFilter(), 10)).rows] == [2]


async def test_a_document_of_another_shape_stops_nothing(store: Store) -> None:
    await store.append(creation(RUN), 1.0)

    await store.append(findings(RUN, "risks", [{"title": "bare"}, "no object"]), 2.0)  # type: ignore[list-item]

    (row,) = (await store.findings(RUN, 10)).rows
    assert (row.rank, row.finding, row.status) == (4, "", "")


async def test_a_paused_run_is_listed_as_paused_until_its_last_pause_is_over(store: Store) -> None:
    """Keeps B9."""
    await store.append(creation(RUN), 1.0)
    states = []
    for number, event in enumerate(
        (
            RunPaused(PauseCause.OPERATOR, "lunch", "one", "digest"),
            RunStarted(),
            RunPaused(PauseCause.GATE),
            RunResumed(PauseCause.OPERATOR, RunState.PAUSED),
            RunResumed(PauseCause.GATE, RunState.RUNNING),
        )
    ):
        await store.append(events(RUN, event), 2.0 + number)
        states.append((await store.run(RUN)).state)

    assert states == [*[RunState.PAUSED] * 4, RunState.RUNNING]
    assert (await store.run(RUN)).start_time == 3.0
    assert (await store.requests(["one"]))["one"].run == RUN
