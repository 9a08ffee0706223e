"""Keeps the book of an attempt's use of its model."""

import json
from dataclasses import replace

from agenthost.core.models import metering
from agenthost.core.models.meter import Reading, Tokens
from agenthost.core.models.metering import MAX_KEPT_BACK, AnswerEnd, ModelUse, describe, restore
from agenthost.core.models.refusals import ModelTrouble

LIMITED = Reading(trouble=ModelTrouble.RATE_LIMIT)


def test_use_adds_up_and_survives_being_written_down() -> None:
    use = ModelUse().with_request().with_status(200).with_answer(200, Reading(Tokens(3, 4), "small"))
    use = use.with_request().with_status(429).with_answer(429, LIMITED, ((b"retry-after", b"7"),))
    use = use.with_refusal().with_failure()

    assert (use.requests, use.refused, use.broken, use.metered, use.model) == (2, 1, 1, 1, "small")
    assert use.statuses == {200: 1, 429: 1}
    assert (use.rate_limited, use.retry_after_seconds) == (1, 7)
    assert use.thought == AnswerEnd(ModelTrouble.RATE_LIMIT, 429)
    assert restore(
        json.loads(json.dumps(describe(replace(use, thought=AnswerEnd(status=200, at_limit=True)))))
    ).thought.at_limit
    assert restore(json.loads(json.dumps(describe(use)))) == use


def test_the_models_name_is_known_though_its_answer_never_ended() -> None:
    use = ModelUse().with_model("small").with_failure()

    assert (use.model, use.with_model("").model, use.with_answer(200, Reading(model="large")).model) == (
        "small",
        "small",
        "large",
    )


def test_only_the_newest_thought_counts_and_what_was_asked_beside_it_since() -> None:
    cut = ModelUse().with_cut(200)
    mended = cut.with_answer(200, Reading())
    beside = mended.with_answer(500, Reading(trouble=ModelTrouble.ERROR), thinks=False)

    assert (cut.thought, cut.broken) == (AnswerEnd(ModelTrouble.CUT, 200), 1)
    assert mended.thought == AnswerEnd(status=200)
    assert (beside.thought, beside.aside) == (AnswerEnd(status=200), AnswerEnd(ModelTrouble.ERROR, 500))
    assert beside.with_answer(200, Reading()).aside == AnswerEnd()


def test_a_book_of_an_earlier_version_is_read() -> None:
    """Keeps K7: an attempt in flight over an upgrade is judged as it would have been."""
    written = {
        "requests": 1, "refused": 0, "broken": 0, "metered": 0, "rate_limited": 0, "retry_after_seconds": None,
        "statuses": {"401": 1}, "taken": 0, "given": 0,
    }  # fmt: skip

    assert restore(written).aside == AnswerEnd()
    assert restore({**written, "thought": ["cut", 200]}).thought == AnswerEnd(ModelTrouble.CUT, 200)
    assert restore({**written, "last_status": 401}).aside == AnswerEnd(ModelTrouble.AUTHENTICATION, 401)
    assert restore({**written, "last_status": 500}).aside == AnswerEnd(status=500)
    assert restore({**written, "unreachable": "x"}).aside.trouble is ModelTrouble.UNREACHABLE


def test_tokens_stay_within_what_a_host_can_tell_whatever_an_endpoint_states() -> None:
    """An end that does not fit its message would never be sent, and its attempt would never end."""
    use, most = ModelUse(), 2**53 - 1
    for _ in range(1100):
        use = use.with_answer(200, Reading(Tokens(3 * most, 2 * most)))

    assert use.tokens.taken == use.tokens.given == 2**62


def test_the_number_of_statuses_is_bounded() -> None:
    use = ModelUse()
    for status in range(200, 600):
        use = use.with_status(status)

    assert len(use.statuses) == metering.MAX_STATUSES
    assert use.with_status(200).statuses[200] == 2


def test_what_was_not_passed_on_is_kept_by_name_within_a_bound() -> None:
    use = ModelUse().with_kept_back(["field a", "field b", "field a"]).with_kept_back(f"field {n}" for n in range(99))

    assert use.kept_back[:3] == ("field a", "field b", "field 0")
    assert len(use.kept_back) == MAX_KEPT_BACK
    assert restore(describe(use)) == use
