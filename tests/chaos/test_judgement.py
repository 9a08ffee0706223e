"""Chance in a run's report is not judged, and nothing else is left out."""

from tests.chaos.judgement import without_chance

UNDISTURBED = """\
## What was not checked

- **fails** failed: exit code 4
- **one** was cancelled after it had begun: step fails failed
- **two** was cancelled after it had begun: step fails failed

## What was read
"""
ONE_HAD_NOT_BEGUN = UNDISTURBED.replace("**one** was cancelled after it had begun", "**one** was cancelled")


def test_whether_a_step_had_begun_when_another_failed_the_run_is_chance() -> None:
    assert ONE_HAD_NOT_BEGUN != UNDISTURBED
    assert without_chance(ONE_HAD_NOT_BEGUN) == without_chance(UNDISTURBED)


def test_all_else_is_judged() -> None:
    for wrong in (
        UNDISTURBED.replace("exit code 4", "exit code 5"),
        UNDISTURBED.replace("- **two** was cancelled after it had begun: step fails failed\n", ""),
        UNDISTURBED.replace("**two** was cancelled after it had begun", "**two** was skipped"),
        UNDISTURBED.replace("## What was read", "## What ran"),
    ):
        assert without_chance(wrong) != without_chance(UNDISTURBED)
