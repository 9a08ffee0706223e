"""The exit code of a run that succeeded: pure, from its steps, its findings and the policy. Keeps K8."""

import pytest

from conductor.cli.commands.judging.baseline_file import Entry
from conductor.cli.commands.judging.judgement import gaps, judgement
from conductor.cli.commands.judging.policy import Policy
from conductor.cli.main import main
from conductor.v1.run_service_pb2 import Attempt, Evidence, Failure, Finding, FindingCounts, Items, Run, Step

FINDING = Finding(
    title="A bare except", fingerprint="f1", severity=Finding.SEVERITY_HIGH, status=Evidence.STATUS_VERIFIED
)
INVENTED = Finding(
    title="Nothing", fingerprint="f2", severity=Finding.SEVERITY_CRITICAL, status=Evidence.STATUS_MISSING
)


@pytest.mark.parametrize(
    ("policy", "missed", "code"),
    [
        (Policy("critical", is_verified_only=True), (), 0),
        (Policy("critical"), (), 5),
        (Policy("high", is_verified_only=True), (), 5),
        (Policy("high"), ("a step",), 5),
        (Policy(), (), 0),
        (Policy(), ("a step",), 6),
        (Policy(is_incomplete_allowed=True), ("a step",), 0),
        (Policy("critical", is_verified_only=True), ("a step",), 6),
        (Policy("high", is_incomplete_allowed=True), ("a step",), 5),
    ],
)
def test_findings_that_count_are_certain_and_win_over_what_was_not_judged(
    policy: Policy, missed: tuple[str, ...], code: int
) -> None:
    judged = judgement([FINDING, INVENTED], missed, policy)

    assert judged.code == code
    assert any("incomplete: 1 part" in line for line in judged.lines) == bool(missed)


def test_a_folded_finding_counts_again_when_it_has_more_places_than_the_baseline_knows() -> None:
    """Keeps F11."""
    policy = Policy("high", baseline={"f1": Entry("f1", "looked at", title="12 actions", places="12")})

    def judged(total: int) -> tuple[int, tuple[str, ...]]:
        finding = Finding(fingerprint="f1", severity=Finding.SEVERITY_HIGH, status=Evidence.STATUS_PLACED, total=total)
        told = judgement([finding], (), policy)
        return told.code, told.lines

    assert [judged(total)[0] for total in (0, 11, 12, 13)] == [0, 0, 0, 5]
    assert judged(13)[1][:2] == (
        "1 finding of the baseline with more places, so not left out:",
        "12 actions: 12 places then, 13 now",
    )
    assert not any("matches nothing" in line for line in judged(13)[1])


@pytest.mark.parametrize(
    ("finding", "code"),
    [
        (Finding(status=Evidence.STATUS_PLACED, calibrated=True), 5),
        (Finding(status=Evidence.STATUS_PLACED), 0),
        (Finding(status=Evidence.STATUS_MISSING, calibrated=True), 0),
        (Finding(status=Evidence.STATUS_MOVED), 5),
        (Finding(status=Evidence.STATUS_PLACED, calibrated=True, verdict=Finding.VERDICT_REFUTED), 0),
    ],
)
def test_a_place_without_a_quote_is_proven_where_the_table_of_rules_keeps_its_rule(finding: Finding, code: int) -> None:
    finding.severity = Finding.SEVERITY_HIGH

    assert judgement([finding], (), Policy("high", is_verified_only=True)).code == code
    assert judgement([finding], (), Policy("high")).code == 5


def test_findings_of_the_baseline_do_not_count_and_entries_without_one_are_told() -> None:
    """Keeps F11."""
    known = {key: Entry(key, "looked at", title=f"title {key}") for key in ("f1", "f9")}

    judged, incomplete = (
        judgement([FINDING, INVENTED], (), Policy("high", baseline=known), is_whole=whole) for whole in (True, False)
    )
    alone = judgement([FINDING], (), Policy("high", baseline=known))

    assert (judged.code, alone.code) == (5, 0)
    assert dict(judged.dismissed) == {"f1": "looked at"}
    assert [line.split() for line in judged.lines if "f9" in line] == [["f9", "title", "f9"]]
    assert not any("f9" in line for line in incomplete.lines)  # it may be there: not everything was looked at
    assert sum("Nothing" in line for line in judged.lines) == 1


def test_the_baseline_knows_a_finding_under_the_former_name_of_its_file() -> None:
    """Keeps F11."""
    moved = Finding(title="A bare except", fingerprint="new", former_fingerprint="f1", severity=Finding.SEVERITY_HIGH)
    judged = judgement([moved], (), Policy("high", baseline={"f1": Entry("f1", "looked at")}))

    assert (judged.code, dict(judged.dismissed)) == (0, {"new": "looked at"})


def test_each_part_that_came_to_no_judgement_is_told() -> None:
    died = Failure(reason="AGENT_EXIT_NONZERO", message="The agent exited with code 3.")
    steps = [
        Step(name="runs/r/steps/well", state=Step.STATE_SUCCEEDED, attempts=[Attempt()]),
        Step(name="runs/r/steps/skipped", state=Step.STATE_SKIPPED),
        Step(name="runs/r/steps/dead", state=Step.STATE_FAILED, failure=died),
        Step(name="runs/r/steps/late", state=Step.STATE_CANCELLED, reason="its parent failed"),
        Step(name="runs/r/steps/prose", state=Step.STATE_SUCCEEDED, finding_counts=FindingCounts(unread=1)),
        Step(name="runs/r/steps/many", state=Step.STATE_SUCCEEDED, items=Items(left_out=2)),
        Step(name="runs/r/steps/cut", state=Step.STATE_SUCCEEDED, attempts=[Attempt(answer_truncated=True)]),
    ]

    assert list(gaps(Run(steps=steps))) == [
        "dead failed: AGENT_EXIT_NONZERO: The agent exited with code 3.",
        "late cancelled: its parent failed",
        "prose: its findings cannot be read",
        "many: 2 items left out by its limit",
        "cut: the answer is not whole: it was longer than its limit",
    ]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--verified-only",), "add  --fail-on high"),
        (("--model", "http://127.0.0.1:1"), "--model is for a conductor that the command starts itself"),
        (("--data", "x"), "conductor run … --ephemeral"),
        (("--ephemeral", "--detach"), "--detach leaves before the run ends"),
    ],
)
def test_options_that_contradict_each_other_are_refused_before_anything_starts(
    options: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "survey", ".", *options]) == 2
    assert told in capsys.readouterr().err
