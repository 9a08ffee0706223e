import re

import pytest

from agenthost.core.admission.order import Limits
from agenthost.core.ending import Cause, Ending, judge
from agenthost.core.models.meter import Reading
from agenthost.core.models.metering import ModelUse
from agenthost.core.models.refusals import ModelTrouble, trouble_of
from agenthost.core.output.agent_output import Summary
from agenthost.core.output.report import Turn, Usage
from agenthost.core.trouble import AGENT, HUMAN_REQUIRED, INFRASTRUCTURE, RATE_LIMIT, Trouble
from agenthost.core.verdict import Outcome, Verdict

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
        (Ending(Cause.HOST_STOPPED, signal=15), ANSWERED, Outcome.FAILED, "HOST_STOPPED"),
        (Ending(Cause.TIMEOUT, signal=9), ANSWERED, Outcome.TIMED_OUT, "STEP_TIMEOUT"),
        (Ending(Cause.IDLE_TIMEOUT), ANSWERED, Outcome.TIMED_OUT, "IDLE_TIMEOUT"),
        (Ending(Cause.FIRST_OUTPUT_TIMEOUT), ANSWERED, Outcome.TIMED_OUT, "FIRST_OUTPUT_TIMEOUT"),
        (Ending(Cause.ORPHANED), ANSWERED, Outcome.FAILED, "ORPHANED"),
        (Ending(Cause.OUTPUT_TOO_LARGE), ANSWERED, Outcome.FAILED, "OUTPUT_TOO_LARGE"),
        (Ending(Cause.SANDBOX_REFUSED), Summary(), Outcome.REFUSED, "SANDBOX_REFUSED"),
        (Ending(Cause.SET_UP_INTERRUPTED), Summary(), Outcome.REFUSED, "HOST_SETUP_INTERRUPTED"),
        (Ending(Cause.SNAPSHOT_CHANGED), Summary(), Outcome.REFUSED, "SNAPSHOT_CHANGED"),
        (Ending(Cause.SANDBOX_KILLED, signal=9), ANSWERED, Outcome.FAILED, "HOST_SANDBOX_KILLED"),
        (Ending(Cause.SHIM_LOST), ANSWERED, Outcome.FAILED, "SHIM_LOST"),
        (Ending(Cause.DISK_FULL, signal=9), ANSWERED, Outcome.FAILED, "HOST_DISK_FULL"),
        (Ending(Cause.FILES_DAMAGED, exit_code=0), ANSWERED, Outcome.FAILED, "HOST_FILES_DAMAGED"),
        (Ending(Cause.EXITED, exit_code=0, snapshot_changed=True), ANSWERED, Outcome.FAILED, "READ_ONLY_VIOLATION"),
        (Ending(Cause.CANCELLED, snapshot_changed=True), ANSWERED, Outcome.FAILED, "READ_ONLY_VIOLATION"),
    ],
)
def test_every_end_has_one_outcome_and_one_reason(
    ending: Ending, summary: Summary, outcome: Outcome, reason: str
) -> None:
    """Keeps D4, D5 and the rule that a changed snapshot outweighs everything."""
    verdict = judge(ending, summary, Limits())

    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert bool(verdict.message) == bool(verdict.trouble) == (outcome is not Outcome.SUCCEEDED)


@pytest.mark.parametrize(
    ("ending", "says"), [(GOOD, "code 0 but gave no answer"), (Ending(Cause.EXITED, exit_code=1), "code 1")]
)
def test_a_failure_names_what_of_the_output_could_not_be_read(ending: Ending, says: str) -> None:
    unread = "a line of type final cannot be read: its field result must be an object"
    verdict = judge(ending, Summary(malformed=(unread,)), Limits())

    assert verdict.message == f"The agent exited with {says}. Unread of its output: {unread}."


@pytest.mark.parametrize(
    ("cause", "limit"),
    [
        (Cause.TIMEOUT, "90 s. Give the step a longer timeout"),
        (Cause.IDLE_TIMEOUT, "1.5 s, its idle_timeout"),
        (Cause.FIRST_OUTPUT_TIMEOUT, "30 s, its first_output_timeout"),
        (Cause.ORPHANED, "600 s, its orphan_timeout"),
    ],
)
def test_a_clock_that_ended_an_attempt_is_named_with_its_limit(cause: Cause, limit: str) -> None:
    """C6: its reader learns which field of the flow to change, and from what."""
    limits = Limits(timeout_seconds=90.0, idle_timeout_seconds=1.5, first_output_timeout_seconds=30.0)

    verdict = judge(Ending(cause, detail="in {braces}"), ANSWERED, limits)

    assert limit in verdict.message
    assert verdict.message.endswith(" (in {braces})")


EXITED = Ending(Cause.EXITED, exit_code=1)


def use_of(*statuses: int, body: bytes = b"", wait: bytes = b"9") -> ModelUse:
    use = ModelUse()
    for status in statuses:
        reading = Reading(trouble=trouble_of(status, body), error=body)
        headers = ((b"retry-after", wait),) if wait else ()
        use = use.with_request().with_status(status).with_answer(status, reading, headers)
    return use


@pytest.mark.parametrize(
    ("ending", "summary", "statuses", "reason"),
    [
        (EXITED, Summary(), (401,), "AUTH_FAILED"),
        (EXITED, ANSWERED, (200, 403), "AUTH_FAILED"),
        (EXITED, ANSWERED, (401, 429), "RATE_LIMITED"),
        (EXITED, ANSWERED, (529,), "RATE_LIMITED"),
        (GOOD, Summary(), (429,), "RATE_LIMITED"),
        (Ending(Cause.EXITED, signal=6), ANSWERED, (401,), "AUTH_FAILED"),
        (EXITED, ANSWERED, (500,), "MODEL_ERROR"),
        # Whatever the agent says of itself.
        (GOOD, ANSWERED, (401,), "AUTH_FAILED"),
        (GOOD, ANSWERED, (200, 429), "RATE_LIMITED"),
        (GOOD, ANSWERED, (500,), "MODEL_ERROR"),
        # A better answer followed, or the host ended it: the refusal is not the cause of its end.
        (EXITED, ANSWERED, (401, 429, 200), "AGENT_EXIT_NONZERO"),
        (GOOD, ANSWERED, (401, 429, 500, 200), ""),
        (EXITED, ANSWERED, (), "AGENT_EXIT_NONZERO"),
        (Ending(Cause.CANCELLED, signal=15), ANSWERED, (401,), "CANCELLED"),
        (Ending(Cause.TIMEOUT), ANSWERED, (429,), "STEP_TIMEOUT"),
        (Ending(Cause.EXITED, exit_code=1, snapshot_changed=True), ANSWERED, (401,), "READ_ONLY_VIOLATION"),
    ],
)
def test_an_agent_that_its_model_refused_failed_for_that(
    ending: Ending, summary: Summary, statuses: tuple[int, ...], reason: str
) -> None:
    """Keeps D4: a retry must wait where the endpoint says so, and is no use where the key is wrong."""
    verdict = judge(ending, summary, Limits(), use_of(*statuses))

    assert verdict.reason == reason
    assert ("wait for 9 s" in verdict.message) == (reason == "RATE_LIMITED")
    assert ("this model's key" in verdict.message) == (reason == "AUTH_FAILED")
    assert ("HTTP 500" in verdict.message) == (reason == "MODEL_ERROR")
    assert _sentences(verdict.message) <= 2 or reason == "READ_ONLY_VIOLATION"


@pytest.mark.parametrize("cause", [Cause.TIMEOUT, Cause.IDLE_TIMEOUT, Cause.FIRST_OUTPUT_TIMEOUT])
def test_an_agent_that_waits_for_a_model_that_wants_a_pause_is_rate_limited_whichever_clock_ends_it(
    cause: Cause,
) -> None:
    """Keeps C10: the gateway refused all that it asked, so its pool is parked, and the step is tried again."""
    assert judge(Ending(cause), Summary(), Limits(), use_of(429).with_end_armed()).reason == "RATE_LIMITED"
    assert judge(Ending(cause), Summary(), Limits(), use_of(429)).reason != "RATE_LIMITED"


@pytest.mark.parametrize(
    ("status", "trouble"), [(500, INFRASTRUCTURE), (503, INFRASTRUCTURE), (400, AGENT), (404, HUMAN_REQUIRED)]
)
def test_who_can_help_with_an_error_of_a_model_depends_on_its_status(status: int, trouble: Trouble) -> None:
    assert judge(EXITED, Summary(), Limits(), use_of(status)).trouble is trouble


@pytest.mark.parametrize("ending", [GOOD, EXITED])
def test_each_trouble_within_an_answer_has_its_own_reason(ending: Ending) -> None:
    """Keeps D4 and D5: judged by the gateway's book, whatever the agent's exit code is."""
    reasons = {
        ModelTrouble.CUT: "MODEL_STREAM_CUT",
        ModelTrouble.REFUSED: "MODEL_REFUSED",
        ModelTrouble.OVERFLOW: "CONTEXT_OVERFLOW",
        ModelTrouble.ERROR: "MODEL_ERROR",
    }
    judged = {
        trouble: judge(ending, ANSWERED, Limits(), ModelUse().with_answer(200, Reading(trouble=trouble))).reason
        for trouble in reasons
    }

    assert judged == reasons


@pytest.mark.parametrize("ending", [GOOD, EXITED])
@pytest.mark.parametrize("status", [0, 400, 404, 429, 500])
@pytest.mark.parametrize("trouble", [trouble for trouble in ModelTrouble if trouble.value])
@pytest.mark.parametrize("wait", [b"", b"9"])
def test_no_end_by_a_model_is_told_in_more_than_two_sentences(
    ending: Ending, status: int, trouble: ModelTrouble, wait: bytes
) -> None:
    """Keeps D4: the agent's own end, an exit code, says nothing of its model and is not told with it."""
    headers = ((b"retry-after", wait),) if wait else ()
    use = ModelUse().with_request().with_answer(status, Reading(trouble=trouble), headers)
    use = use.with_unreachable("http://127.0.0.1:1: Connection refused") if trouble is ModelTrouble.UNREACHABLE else use
    message = judge(ending, ANSWERED, Limits(), use).message

    assert 1 <= _sentences(message) <= 2, message
    assert "exited" not in message


def _sentences(message: str) -> int:
    return len([part for part in re.split(r"(?<=[.!?])\s", message) if part])


def test_a_quota_that_names_its_time_is_waited_for_and_any_other_needs_a_person() -> None:
    used_up = b'{"error": {"code": "insufficient_quota"}}'
    timed, open_ended = (
        judge(EXITED, Summary(), Limits(), use_of(429, body=used_up, wait=wait)) for wait in (b"9", b"")
    )

    assert (timed.reason, timed.trouble) == ("QUOTA_EXCEEDED", RATE_LIMIT)
    assert "wait for 9 s" in timed.message
    assert (open_ended.reason, open_ended.trouble) == ("QUOTA_EXCEEDED", HUMAN_REQUIRED)


def test_trouble_beside_the_answer_counts_only_for_an_agent_that_failed() -> None:
    use = use_of(200).with_answer(401, Reading(trouble=ModelTrouble.AUTHENTICATION), thinks=False)

    assert judge(GOOD, ANSWERED, Limits(), use).reason == ""
    assert judge(EXITED, ANSWERED, Limits(), use).reason == "AUTH_FAILED"


def test_a_model_that_cannot_be_reached_is_named_with_its_address() -> None:
    """Keeps D4: the agent's own word for it, an exit code, says nothing."""
    gone = ModelUse().with_request().with_unreachable("http://127.0.0.1:11434: Connection refused")
    back = gone.with_request().with_status(200).with_answer(200, Reading())

    verdict = judge(EXITED, Summary(), Limits(), gone)

    assert (verdict.reason, verdict.trouble) == ("MODEL_UNREACHABLE", INFRASTRUCTURE)
    assert "http://127.0.0.1:11434: Connection refused. Start its server" in verdict.message
    assert judge(EXITED, Summary(), Limits(), back).reason == "AGENT_EXIT_NONZERO"
    assert judge(GOOD, ANSWERED, Limits(), gone).reason == "MODEL_UNREACHABLE"


def test_every_cause_is_judged() -> None:
    assert {judge(Ending(cause), Summary(), Limits()).reason for cause in Cause} >= {
        "CANCELLED",
        "SHIM_LOST",
        "AGENT_EXIT_NONZERO",
    }


def turned(reason: str = "", *, closed: bool = True, in_turn: bool = False) -> Summary:
    """Returns what an agent said that ended a turn."""
    turn = Turn(1, reason, Usage(), 0, 3, "")
    return Summary(has_answer=True, last_turn=turn, is_in_turn=in_turn, is_closed=closed)


@pytest.mark.parametrize("cause", sorted(set(Cause) - {Cause.FILES_DAMAGED}))
def test_after_a_valid_last_turn_and_a_close_no_way_to_leave_changes_the_outcome(cause: Cause) -> None:
    """Keeps D13."""
    assert judge(Ending(cause, exit_code=3, signal=9), turned(), Limits()) == Verdict(Outcome.SUCCEEDED)


@pytest.mark.parametrize(
    ("ending", "summary", "reason"),
    [
        (Ending(Cause.EXITED, exit_code=3), turned(closed=False), ""),
        (Ending(Cause.IDLE_TIMEOUT), turned(closed=False), ""),
        (Ending(Cause.CANCELLED), turned(closed=False), "CANCELLED"),
        (Ending(Cause.TIMEOUT), turned(closed=False), "STEP_TIMEOUT"),
        (Ending(Cause.EXITED, exit_code=3), turned(in_turn=True), "AGENT_EXIT_NONZERO"),
        (Ending(Cause.IDLE_TIMEOUT), turned(in_turn=True), "IDLE_TIMEOUT"),
        (Ending(Cause.CLOSED, signal=15), turned("TURN_FAILED"), "TURN_FAILED"),
        (Ending(Cause.EXITED, exit_code=0), turned("EMPTY_OUTPUT"), "EMPTY_OUTPUT"),
        (Ending(Cause.FILES_DAMAGED), turned(), "HOST_FILES_DAMAGED"),
        (Ending(Cause.EXITED, exit_code=0, snapshot_changed=True), turned(), "READ_ONLY_VIOLATION"),
    ],
)
def test_without_a_close_or_in_a_turn_the_way_to_leave_counts_as_before(
    ending: Ending, summary: Summary, reason: str
) -> None:
    assert judge(ending, summary, Limits()).reason == reason


def test_a_failed_agent_is_told_what_of_its_requests_was_not_passed_on() -> None:
    use = ModelUse().with_refusal().with_kept_back(["field config", "header x-tools"])

    assert judge(GOOD, ANSWERED, Limits(), use).outcome is Outcome.SUCCEEDED
    failed = judge(Ending(Cause.EXITED, exit_code=1), ANSWERED, Limits(), use)
    assert failed.reason == "AGENT_EXIT_NONZERO"
    assert failed.message.endswith("The gateway did not pass on: field config, header x-tools.")
