"""Judges what the gateway's book says of an attempt's end: which trouble with its model is the reason, and what to do about it.

Trouble of the newest thought counts whatever the agent did. Trouble with anything else that it asked counts only where the agent
failed by itself: a list of models that could not be had ends no answer.
"""

from agenthost.core.models.metering import AnswerEnd, ModelUse
from agenthost.core.models.refusals import ModelTrouble
from agenthost.core.trouble import AGENT, HUMAN_REQUIRED, INFRASTRUCTURE, RATE_LIMIT, Trouble
from agenthost.core.verdict import Outcome, Verdict

NOT_FOUND = 404
SERVER_ERRORS = 500

# Each trouble with its reason, its kind, and at most two sentences.
TEXTS = {
    ModelTrouble.UNREACHABLE: (
        "MODEL_UNREACHABLE",
        INFRASTRUCTURE,
        "The model cannot be reached at {where}. Start its server, or correct the url of this model on the host.",
    ),
    ModelTrouble.AUTHENTICATION: (
        "AUTH_FAILED",
        HUMAN_REQUIRED,
        "{answered} Check this model's key (key_env or key_file) and its permissions.",
    ),
    ModelTrouble.RATE_LIMIT: ("RATE_LIMITED", RATE_LIMIT, "{answered}{wait}"),
    ModelTrouble.QUOTA: (
        "QUOTA_EXCEEDED",
        RATE_LIMIT,
        "The quota of this model's account is used up (HTTP {status}).{wait}",
    ),
    ModelTrouble.OVERFLOW: (
        "CONTEXT_OVERFLOW",
        AGENT,
        "The prompt did not fit into the model's context. Give the server a larger one, or the step less to read.",
    ),
    ModelTrouble.REFUSED: (
        "MODEL_REFUSED",
        AGENT,
        "The model refused to answer: its provider's filter, or the model itself, stopped it. Ask another model.",
    ),
    ModelTrouble.CUT: (
        "MODEL_STREAM_CUT",
        INFRASTRUCTURE,
        "The model's endpoint broke its last answer off, so what the agent says is not whole. The server's own log may say why.",
    ),
    ModelTrouble.ERROR: ("MODEL_ERROR", INFRASTRUCTURE, "{answered} {remedy}"),
}


def failure_of_model(use: ModelUse, failure: Verdict | None) -> Verdict | None:
    """Returns the failure that the model explains; None where its answers were good. `failure` is the agent's own, if it failed."""
    end = use.aside if failure and not use.thought.trouble else use.thought
    if not end.trouble:
        return None
    reason, trouble, text = TEXTS[end.trouble]
    wait = "" if use.retry_after_seconds is None else f" The endpoint asks to wait for {use.retry_after_seconds} s."
    message = text.format(
        where=use.unreachable,
        answered=_answered(end, failure),
        status=end.status,
        wait=wait,
        remedy=_remedy(end.status),
    )
    if end.trouble is ModelTrouble.QUOTA and not wait:  # nothing but a person brings it back
        return Verdict(Outcome.FAILED, reason, f"{message} Pay for more, or name another model.", HUMAN_REQUIRED)
    return Verdict(Outcome.FAILED, reason, message, _of_status(trouble, end))


def kept_back(use: ModelUse) -> str:
    """Returns the sentence that names what of the agent's requests was not passed on."""
    return f"The gateway did not pass on: {', '.join(use.kept_back)}."


def _answered(end: AnswerEnd, failure: Verdict | None) -> str:
    so = "" if failure else ", so what the agent says is no answer"
    how = f"with HTTP {end.status}" if end.status >= 400 else "with an error in its stream"
    return f"The model's endpoint answered {how}{so}."


def _remedy(status: int) -> str:
    if status == NOT_FOUND:
        return "Check the model's name, and the url of this model on the host."
    return (
        "The server's own log may say why." if status >= SERVER_ERRORS else "The agent's log may say what it refused."
    )


def _of_status(trouble: Trouble, end: AnswerEnd) -> Trouble:
    """Returns the kind of an error by its status: what a server refuses once, it refuses again."""
    if end.trouble is not ModelTrouble.ERROR or not 400 <= end.status < SERVER_ERRORS:
        return trouble
    return HUMAN_REQUIRED if end.status == NOT_FOUND else AGENT
