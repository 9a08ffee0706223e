import pytest

from agenthost.core.agent_output import Summary
from agenthost.core.ending import Cause, Ending, Outcome, judge

ANSWERED = Summary(has_answer=True)
GOOD = Ending(Cause.EXITED, exit_code=0)


@pytest.mark.parametrize(
    ("ending", "summary", "outcome", "reason"),
    [
        (GOOD, ANSWERED, Outcome.SUCCEEDED, ""),
        (GOOD, Summary(result_json='{"findings":[]}'), Outcome.SUCCEEDED, ""),
        (GOOD, Summary(), Outcome.FAILED, "EMPTY_OUTPUT"),
        (Ending(Cause.EXITED, exit_code=3), ANSWERED, Outcome.FAILED, "AGENT_EXIT_NONZERO"),
        (Ending(Cause.EXITED, signal=9), ANSWERED, Outcome.FAILED, "AGENT_KILLED"),
        (Ending(Cause.CANCELLED, signal=15), ANSWERED, Outcome.CANCELLED, "CANCELLED"),
        (Ending(Cause.TIMEOUT, signal=9), ANSWERED, Outcome.TIMED_OUT, "STEP_TIMEOUT"),
        (Ending(Cause.IDLE_TIMEOUT), ANSWERED, Outcome.TIMED_OUT, "IDLE_TIMEOUT"),
        (Ending(Cause.ORPHANED), ANSWERED, Outcome.FAILED, "ORPHANED"),
        (Ending(Cause.OUTPUT_TOO_LARGE), ANSWERED, Outcome.FAILED, "OUTPUT_TOO_LARGE"),
        (Ending(Cause.SANDBOX_REFUSED), Summary(), Outcome.REFUSED, "SANDBOX_REFUSED"),
        (Ending(Cause.SHIM_LOST), ANSWERED, Outcome.FAILED, "SHIM_LOST"),
        (Ending(Cause.EXITED, exit_code=0, snapshot_changed=True), ANSWERED, Outcome.FAILED, "READ_ONLY_VIOLATION"),
        (Ending(Cause.CANCELLED, snapshot_changed=True), ANSWERED, Outcome.FAILED, "READ_ONLY_VIOLATION"),
    ],
)
def test_every_end_has_one_outcome_and_one_reason(
    ending: Ending, summary: Summary, outcome: Outcome, reason: str
) -> None:
    """Keeps D4, D5 and the rule that a changed snapshot outweighs everything."""
    verdict = judge(ending, summary)

    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert bool(verdict.message) == (outcome is not Outcome.SUCCEEDED)


def test_every_cause_is_judged() -> None:
    assert {judge(Ending(cause), Summary()).reason for cause in Cause} >= {
        "CANCELLED",
        "SHIM_LOST",
        "AGENT_EXIT_NONZERO",
    }
