"""A run as a watcher knows and reads it. Keeps K2."""

import pytest

from conductor.cli.text.wording import elapsed, findings, workspace_changes
from conductor.cli.views.lines import step_line, summary
from conductor.cli.views.run_state import KEPT_CHARACTERS, RunView, StepRow
from conductor.v1 import run_service_pb2
from conductor.v1.run_service_pb2 import (
    Attempt,
    Failure,
    FindingCounts,
    Output,
    Run,
    Step,
    SubRunProgress,
    Wait,
    WatchRunResponse,
    WorkspaceChanges,
)


def _step(state: "Step.State.ValueType", name: str = "risks", **fields: object) -> Step:
    return Step(name=f"runs/x/steps/{name}", state=state, **fields)  # type: ignore[arg-type]


def _view() -> RunView:
    view = RunView()
    steps = [_step(Step.STATE_PENDING), _step(Step.STATE_PENDING, "fold")]
    view.apply(WatchRunResponse(run=Run(name="runs/x", state=Run.STATE_QUEUED, steps=steps)))
    return view


def test_the_roster_comes_with_the_run() -> None:
    assert [row.id for row in _view().rows.values()] == ["risks", "fold"]


def test_only_a_change_of_state_is_told() -> None:
    view = _view()

    first = view.apply(WatchRunResponse(step=_step(Step.STATE_RUNNING)))
    second = view.apply(WatchRunResponse(step=_step(Step.STATE_RUNNING)))

    assert first is not None
    assert second is None


def test_a_run_told_again_after_a_reconnection_changes_no_line() -> None:
    view = _view()
    view.apply(WatchRunResponse(step=_step(Step.STATE_RUNNING)))
    run = Run(name="runs/x", steps=[_step(Step.STATE_RUNNING), _step(Step.STATE_PENDING, "fold")])

    assert view.apply(WatchRunResponse(run=run)) is None
    assert len(view.rows) == 2


def test_what_is_kept_of_the_output_is_bounded_and_harmless() -> None:
    view = _view()
    said = Output(step="runs/x/steps/risks", channel=Output.CHANNEL_ANSWER, text="\x1b[2Jlook\n" * 5000)
    view.apply(WatchRunResponse(output=said))

    row = next(iter(view.rows.values()))
    assert len(row.said) <= KEPT_CHARACTERS
    assert row.last_lines(1) == ["look"]


def test_activity_is_not_shown_as_words() -> None:
    view = _view()
    view.apply(WatchRunResponse(output=Output(step="runs/x/steps/risks", channel=Output.CHANNEL_ACTIVITY, text="{}")))

    assert next(iter(view.rows.values())).said == ""


def test_a_line_tells_where_it_ran_and_why_it_failed() -> None:
    attempt = Attempt(host="alpha", agent="survey", number=2, input_tokens=1000, output_tokens=500)
    failure = Failure(reason="STEP_TIMEOUT", message="it took\nlonger than 30 min")
    line = step_line(StepRow(_step(Step.STATE_FAILED, attempts=[attempt], failure=failure)), now=0.0)

    expected = "✘ risks  failed  survey on alpha  attempt 2  1.5k tokens  STEP_TIMEOUT: it took longer than 30 min"
    assert line == expected


def test_a_queued_line_says_what_it_waits_for() -> None:
    wait = run_service_pb2.Wait(kind=run_service_pb2.Wait.KIND_SLOT, text="every slot is taken")
    line = step_line(StepRow(_step(Step.STATE_QUEUED, wait=wait)), now=0.0)

    assert line.endswith("waits: every slot is taken")


def test_the_summary_names_the_failure() -> None:
    run = Run(
        flow="flows/survey", state=Run.STATE_FAILED, failure=Failure(reason="EMPTY_OUTPUT", message="it was silent")
    )
    run.end_time.FromSeconds(63)

    assert summary(run) == "✘ survey failed in 63 s\n  EMPTY_OUTPUT: it was silent"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0.0 s"),
        (0.42, "0.4 s"),
        (9.96, "10 s"),
        (99, "99 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
        (7.775e6, "89 d 23 h"),
    ],
)
def test_times_read_as_people_say_them(seconds: float, shown: str) -> None:
    assert elapsed(seconds) == shown


def test_the_seconds_of_a_step_leave_out_what_its_host_took_to_get_the_snapshot() -> None:
    attempt = Attempt(id="x-risks-1", host="alpha", agent="survey", state=Attempt.STATE_RUNNING)
    row = StepRow(_step(Step.STATE_RUNNING, attempts=[attempt]))
    row.step.start_time.FromSeconds(100)

    assert row.seconds(145.0) == 45.0
    row.step.attempts[0].start_time.FromSeconds(140)
    assert row.seconds(145.0) == 5.0
    row.step.end_time.FromSeconds(150)
    assert row.seconds(1_000.0) == 10.0
    row.step.attempts.add().start_time.FromSeconds(149)
    assert row.seconds(1_000.0) == 50.0


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        (FindingCounts(), "no findings"),
        (FindingCounts(verified=1), "1 finding, verified"),
        (FindingCounts(verified=3), "3 findings, all verified"),
        (FindingCounts(verified=2, missing=1), "3 findings: 2 verified, 1 missing"),
    ],
)
def test_findings_are_counted_by_how_they_were_judged(counts: FindingCounts, shown: str) -> None:
    assert findings(counts) == shown


def test_time_goes_on_from_the_moment_that_was_told_last_so_that_a_replay_shows_the_ages_of_then() -> None:
    view = _view()
    told = WatchRunResponse(step=_step(Step.STATE_RUNNING))
    told.time.FromSeconds(1_000_000)

    view.apply(told)

    assert 1_000_000 <= view.now < 1_000_600


def test_changes_of_the_workspace_are_named_and_nothing_is_said_of_none() -> None:
    """Keeps B14."""
    some = WorkspaceChanges(
        count=12, paths=["a.py", "\x1b[2Jb"], note="not every path was compared: it took more than 10 s"
    )

    assert workspace_changes(some) == (
        "12 paths of the workspace since it was pinned: a.py, b, 10 more; "
        "not every path was compared: it took more than 10 s"
    )
    assert workspace_changes(WorkspaceChanges()) == ""


def test_a_step_that_runs_another_flow_names_its_sub_run() -> None:
    """Keeps B13."""
    step = _step(Step.STATE_RUNNING, "deep", sub_run="runs/0abc")

    progress = SubRunProgress(step=step.name, settled_steps=2, total_steps=9)

    assert step_line(StepRow(step), 0.0) == "● deep  running  sub-run 0abc"
    assert step_line(StepRow(step, sub_run=progress), 0.0) == "● deep  running  sub-run 0abc: 2 of 9 steps"


def test_a_step_tells_what_its_sub_run_waits_for_until_it_has_ended() -> None:
    """Keeps B13, F9: progress tells it, and GetStep."""
    text = "judge: No connected host offers reader."
    held = _step(Step.STATE_RUNNING, "deep", sub_run="runs/0abc", wait=Wait(text=text))
    ended = _step(Step.STATE_SUCCEEDED, "deep", sub_run="runs/0abc")

    assert step_line(StepRow(held), 0.0) == f"● deep  running  sub-run 0abc  waits: {text}"
    assert StepRow(ended, present_wait=text).waits_for == ""
