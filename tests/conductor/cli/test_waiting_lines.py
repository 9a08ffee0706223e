"""Lines that a person reads while a run waits, on a terminal of 80 columns and outside of one. Keeps K2."""

import io

import pytest
from rich.console import Console

from conductor.cli.views.lines import step_line
from conductor.cli.views.live import DRAWN_STEPS, SPINNER, LiveView
from conductor.cli.views.plain import PlainView
from conductor.cli.views.run_state import StepRow
from conductor.v1.run_service_pb2 import (
    Attempt,
    Disconnection,
    Evidence,
    Failure,
    Finding,
    FindingCounts,
    Output,
    Progress,
    Repair,
    Step,
    Wait,
    WatchRunResponse,
)
from servicekit.printing.cells import abridged
from tests.conductor.cli.drawn_runs import BROKEN, drawn, run_of, step


def away(seconds: int, *, other_instance: bool = False) -> Disconnection:
    told = Disconnection(host="hosts/alpha", steps=["runs/x/steps/a"], other_instance=other_instance)
    told.disconnected_time.FromSeconds(1_000)
    told.lost_time.FromSeconds(1_000 + seconds)
    return told


def test_a_repair_is_told_once_between_what_the_agent_says_before_and_after_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Keeps F3, in words."""
    repair = Repair(
        attempt="x-a-1", turn=1, failure=Failure(reason="OUTPUT_INVALID", message="severity must be\none of")
    )
    at_work = step("a", Step.STATE_RUNNING)
    repairing = step("a", Step.STATE_RUNNING, repair=repair)
    view = PlainView()
    view.show(run_of(at_work))
    for told in ("first", "again\n"):
        view.show(WatchRunResponse(output=Output(step="runs/x/steps/a", channel=Output.CHANNEL_ANSWER, text=told)))
        view.show(WatchRunResponse(step=repairing))

    assert capfd.readouterr().err.splitlines() == [
        "run runs/x running",
        "  a │ first",
        "  a ▸ asked once to repair its answer: severity must be one of",
        "  a │ again",
    ]
    assert "asked once to repair its answer: severity must be one of" in drawn(run_of(repairing), width=100)


def test_a_step_that_waits_for_its_repair_says_so_once() -> None:
    repair = Repair(attempt="x-a-1", failure=Failure(reason="OUTPUT_INVALID", message="no list"))
    row = StepRow(step("a", Step.STATE_QUEUED, "The agent is asked once to repair its answer: no list", repair=repair))

    assert step_line(row, 0.0) == "◌ a  queued  waits: The agent is asked once to repair its answer: no list"


def test_outside_a_terminal_the_reason_to_wait_is_told_when_it_comes_and_when_it_changes(
    capfd: pytest.CaptureFixture[str],
) -> None:
    view = PlainView()
    view.show(run_of(step("a", Step.STATE_PENDING)))
    view.show(WatchRunResponse(step=step("a", Step.STATE_QUEUED)))
    for wait in (BROKEN, BROKEN, "No host is connected."):
        view.show(WatchRunResponse(step=step("a", Step.STATE_QUEUED, wait)))

    assert capfd.readouterr().err.splitlines() == [
        "run runs/x running",
        f"◌ a  queued  waits: {BROKEN}",
        "◌ a  queued  waits: No host is connected.",
    ]


def test_outside_a_terminal_a_reason_that_many_share_is_one_line_until_no_step_waits_for_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    view = PlainView()
    view.show(run_of(*(step(name, Step.STATE_QUEUED, BROKEN) for name in "abc")))
    for name in "abc":
        view.show(WatchRunResponse(step=step(name, Step.STATE_RUNNING)))
    view.show(WatchRunResponse(step=step("b", Step.STATE_QUEUED, BROKEN)))

    told = capfd.readouterr().err.splitlines()
    assert [line for line in told if "waits" in line] == [
        f"◌ a  queued  waits: {BROKEN}",
        f"◌ b  queued  waits: {BROKEN}",
    ]


def test_a_live_line_keeps_what_is_to_be_mended_on_a_narrow_terminal() -> None:
    """The whole reason once; other steps that wait for the same say only that."""
    picture = drawn(run_of(step("one", Step.STATE_QUEUED, BROKEN), step("two", Step.STATE_QUEUED, BROKEN)))

    shown = " ".join(picture.split())
    assert f"one waits: {BROKEN} ◌ two waits for the same" in shown
    assert shown.count(BROKEN) == 1


def test_a_live_line_keeps_how_long_a_host_is_away_and_when_it_is_given_up() -> None:
    attempt = Attempt(agent="scripted", host="alpha", number=1)
    told = WatchRunResponse(progress=Progress(disconnections=[away(600)]))
    told.time.FromSeconds(1_004)
    name = "a-label-that-takes-all-the-room-it-gets"

    shown = drawn(run_of(step("a", Step.STATE_RUNNING, label=name, attempts=[attempt])), told)

    assert "alpha disconnected for 4.0 s, given up in 9 min 56 s" in shown


def test_a_step_that_is_shown_once_tells_that_its_host_is_away_too() -> None:
    attempt = Attempt(agent="scripted", host="alpha", number=1)
    attempt.disconnected_time.FromSeconds(1_000)
    attempt.lost_time.FromSeconds(1_600)

    assert step_line(StepRow(step("a", Step.STATE_RUNNING, attempts=[attempt])), 1_004.0) == (
        "● a  running  alpha disconnected for 4.0 s, given up in 9 min 56 s  scripted on alpha"
    )


OTHER_FOLDER = "alpha came back with another data folder; start it with the one it had before (given up in 9 min 56 s)"


def test_a_host_that_came_back_with_another_data_folder_is_not_called_disconnected() -> None:
    """On a narrow terminal, too, and of a step that is shown once."""
    attempt = Attempt(agent="scripted", host="alpha", number=1)
    told = WatchRunResponse(progress=Progress(disconnections=[away(600, other_instance=True)]))
    told.time.FromSeconds(1_004)
    shown = drawn(run_of(step("a", Step.STATE_RUNNING, attempts=[attempt])), told)

    attempt.disconnected_time.FromSeconds(1_000)
    attempt.lost_time.FromSeconds(1_600)
    attempt.other_instance = True
    once = step_line(StepRow(step("a", Step.STATE_RUNNING, attempts=[attempt])), 1_004.0)

    assert OTHER_FOLDER in " ".join(shown.split())
    assert OTHER_FOLDER in once
    assert "disconnected" not in shown + once


def test_outside_a_terminal_a_host_that_was_away_and_comes_back_with_another_folder_is_told_again(
    capfd: pytest.CaptureFixture[str],
) -> None:
    view = PlainView()
    for other_instance in (False, True, True):
        told = WatchRunResponse(progress=Progress(disconnections=[away(600, other_instance=other_instance)]))
        told.time.FromSeconds(1_004)
        view.show(told)

    assert capfd.readouterr().err.splitlines() == [
        "… alpha disconnected for 4.0 s, given up in 9 min 56 s; what runs there goes on",
        f"… {OTHER_FOLDER}",
    ]


def test_outside_a_terminal_a_host_that_is_back_in_a_moment_is_worth_no_line(capfd: pytest.CaptureFixture[str]) -> None:
    """As after every restart of the conductor; and one that was told stays told, although its absence is counted again."""
    view = PlainView()
    view.show(at(1_000, WatchRunResponse(progress=Progress(disconnections=[away(600)]))))
    view.show(at(1_001, WatchRunResponse(progress=Progress())))
    assert capfd.readouterr().err == ""

    for seconds in (1_004, 1_000):
        view.show(at(seconds, WatchRunResponse(progress=Progress(disconnections=[away(600)]))))
    view.show(at(1_001, WatchRunResponse(progress=Progress())))
    assert capfd.readouterr().err.splitlines() == [
        "… alpha disconnected for 4.0 s, given up in 9 min 56 s; what runs there goes on",
        "… alpha is back, or nothing runs there any more",
    ]


def test_steps_that_are_not_drawn_are_counted_as_what_they_are_and_work_is_drawn_first() -> None:
    waiting = [step(f"w{number}", Step.STATE_QUEUED, "Every slot is taken.") for number in range(DRAWN_STEPS + 3)]
    shown = drawn(run_of(*waiting, step("works", Step.STATE_RUNNING)), width=120)

    assert "4 more waiting for a place" in shown
    assert "at work" not in shown
    assert shown.splitlines()[0].split()[1] == "works"


def test_of_steps_that_wait_for_a_slot_one_is_drawn_and_the_others_are_counted() -> None:
    waiting = [step(f"ask {name}", Step.STATE_QUEUED) for name in ("ruff", "typos", "zizmor")]
    for one in waiting:
        one.wait.CopyFrom(Wait(kind=Wait.KIND_SLOT, text=f"Every slot that can run {one.name} is taken."))
    shown = drawn(run_of(*waiting), width=120)

    assert "ask ruff" in shown
    assert "typos" not in shown
    assert "2 more waiting for a place" in shown


def test_a_step_without_findings_says_what_it_looked_at_as_far_as_that_fits() -> None:
    looked = step("ruff", Step.STATE_SUCCEEDED, finding_counts=FindingCounts())
    said = WatchRunResponse(output=Output(step=looked.name, text="ruff 0.17: 0 results over files: Python 38."))
    screens = []
    for width in (100, 60, 30):
        screen = io.StringIO()
        view = LiveView("stops it", Console(file=screen, width=width, force_terminal=False))
        view.show(run_of(step("ruff", Step.STATE_RUNNING)))
        view.show(said)
        view.show(WatchRunResponse(step=looked))
        screens.append(screen.getvalue())

    assert "no findings  ruff 0.17: 0 results over files: Python 38." in screens[0]
    assert "no findings  ruff 0.17: 0 results over" in screens[1]
    assert "…" in screens[1]
    assert "0.17" not in screens[2]


@pytest.mark.parametrize(("width", "height"), [(80, 10), (60, 14), (50, 12), (40, 5)])
def test_a_small_terminal_shows_fewer_steps_and_always_the_last_line(width: int, height: int) -> None:
    """rich cuts off at the foot what is higher than the terminal; a reason to wait may take two lines."""
    steps = [step(f"s{number}", Step.STATE_RUNNING) for number in range(6)]
    steps += [step(f"w{number}", Step.STATE_QUEUED, f"{number}: {BROKEN}") for number in range(24)]
    lines = drawn(run_of(*steps), width=width, height=height).splitlines()

    assert lines[0].split()[1] == "s0"
    assert len(lines) <= height
    assert " ".join(" ".join(lines).split()).endswith("more waiting for a place · Ctrl-C stops it")


def test_labels_that_begin_alike_stay_apart() -> None:
    labels = ["conductor-core-placement", "conductor-core-schedule", "conductor-core-inputs"]

    cut = [abridged(label, 16) for label in labels]

    assert cut == ["condu…-placement", "condu…e-schedule", "condu…ore-inputs"]
    assert {len(one) for one in cut} == {16}
    assert [abridged("short", 5), abridged("short", 1), abridged("short", 0)] == ["short", "…", ""]


def test_a_conductor_that_says_nothing_is_told_where_its_absence_is_told_and_until_it_speaks() -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=80, height=24, force_terminal=False)
    view = LiveView("stops it", console)
    view.show(run_of(step("a", Step.STATE_RUNNING)))

    def foot() -> str:
        screen.seek(0)
        screen.truncate()
        console.print(view._draw())
        return screen.getvalue().splitlines()[-1]

    view.silent(17.0)
    assert foot() == "  the conductor has said nothing for 17 s …"
    view.back()
    assert foot().startswith("  running")
    view.silent(17.0)
    view.away("127.0.0.1:7410")
    assert foot() == "  no conductor answers at 127.0.0.1:7410; waiting up to 5 min for it …"


def starting(name: str, host: str = "alpha") -> Step:
    attempt = Attempt(id=f"x-{name}-1", agent="survey", host=host, number=1, state=Attempt.STATE_STARTING)
    attempt.create_time.FromSeconds(1_000)
    return step(name, Step.STATE_RUNNING, attempts=[attempt])


def at(seconds: int, told: WatchRunResponse) -> WatchRunResponse:
    told.time.FromSeconds(seconds)
    return told


def test_an_attempt_whose_host_gets_its_snapshot_says_that_it_waits_for_it() -> None:
    """A moment's preparation is not worth a word."""
    soon = drawn(at(1_000, run_of(starting("a"))))
    late = drawn(at(1_030, run_of(starting("a"))))

    assert "waits" not in soon
    assert "survey on alpha  waits for snapshot and sandbox" in late
    assert step_line(StepRow(starting("a")), 1_030.0) == "● a  running  survey on alpha  waits for snapshot and sandbox"


def test_outside_a_terminal_a_snapshot_that_travels_is_told_once_for_all_steps_of_a_host(
    capfd: pytest.CaptureFixture[str],
) -> None:
    view = PlainView()
    view.show(at(1_000, run_of(*map(starting, "abcde"), starting("f", "beta"))))
    for seconds in (1_001, 1_006, 1_011):
        view.show(at(seconds, WatchRunResponse(progress=Progress(running_steps=6))))

    assert [line for line in capfd.readouterr().err.splitlines() if line.startswith("…")] == [
        "… alpha gets snapshot and sandbox ready for a, b, c, 2 more",
        "… beta gets snapshot and sandbox ready for f",
    ]


def test_only_what_is_heard_of_turns() -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=80, height=24, force_terminal=False)
    view = LiveView("stops it", console)
    view.show(run_of(step("a", Step.STATE_RUNNING, attempts=[Attempt(agent="scripted", host="alpha", number=1)])))

    def turns() -> bool:
        screen.seek(0)
        screen.truncate()
        console.print(view._draw())
        return screen.getvalue()[0] in SPINNER

    assert turns()
    view.silent(17.0)
    assert not turns()
    view.away("127.0.0.1:7410")
    assert not turns()
    view.back()
    assert turns()
    view.show(at(1_004, WatchRunResponse(progress=Progress(disconnections=[away(600)]))))
    assert not turns()


def test_a_host_that_is_away_takes_one_line_of_80_columns() -> None:
    attempt = Attempt(agent="scripted", host="alpha", number=1)
    name = "a-label-that-takes-all-the-room-it-gets"
    told = at(1_090, WatchRunResponse(progress=Progress(disconnections=[away(700)])))

    lines = drawn(run_of(step("a", Step.STATE_RUNNING, label=name, attempts=[attempt])), told).splitlines()

    assert lines[0].rstrip().endswith("alpha disconnected for 90 s, given up in 10 min 10 s")
    assert len(lines) == 2


def test_outside_a_terminal_a_finding_that_a_fold_merges_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    view = PlainView()
    view.show(run_of(step("risks", Step.STATE_RUNNING), step("merged", Step.STATE_PENDING)))
    found = Finding(id="826c", step="runs/x/steps/risks", title="A handler", severity=Finding.SEVERITY_LOW)
    other = Finding(id="1234", step="runs/x/steps/risks", title="A handler", severity=Finding.SEVERITY_LOW)
    for finding in (found, other, found, other):
        view.show(WatchRunResponse(finding=finding))

    assert [line for line in capfd.readouterr().err.splitlines() if "▸" in line] == [
        "  risks ▸ low  A handler  unspecified",
        "  risks ▸ low  A handler  unspecified",
    ]


def test_what_a_tool_hands_in_is_no_line_until_a_table_of_rules_keeps_it(capfd: pytest.CaptureFixture[str]) -> None:
    view = PlainView()
    view.show(run_of(step("lint", Step.STATE_RUNNING), step("merged", Step.STATE_PENDING)))
    raw = Finding(id="1", step="runs/x/steps/lint", title="Unpinned", rule="zizmor:x", status=Evidence.STATUS_PLACED)
    kept = Finding(id="2", step="runs/x/steps/lint", title="12 actions", rule="zizmor:x", calibrated=True)
    kept.count = 12
    kept.evidence.add(path="ci.yml", start_line=3)
    lens = Finding(id="3", step="runs/x/steps/lint", title="A ring", rule="lens:x", status=Evidence.STATUS_VERIFIED)
    for finding in (raw, lens, kept):
        view.show(WatchRunResponse(finding=finding))

    told = [line.split("  ")[2:-1] for line in capfd.readouterr().err.splitlines() if "▸" in line]
    assert told == [["A ring"], ["12 actions", "ci.yml:3", "and 11 more"]]
