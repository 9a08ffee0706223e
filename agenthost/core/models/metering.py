"""Keeps the book of what an agent used of its model: requests, statuses, tokens, and how the newest answer ended.

The book, and never the agent's exit code or words, says whether its model answered (see `core.models.ending`). A request that asks
the model to think counts; what an agent asks beside that, such as a list of models, counts only for an agent that failed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agenthost.core.models.measuring import Measured, TracedRequest, describe_measured, restore_measured
from agenthost.core.models.meter import Reading, Tokens
from agenthost.core.models.refusals import RATE_LIMITS, UNAUTHORIZED, ModelTrouble, trouble_of, wait_of
from agenthost.core.output.report import Usage

AT_LIMIT = "the model stopped at its limit of answer tokens"
MAX_STATUSES = 64
MAX_KEPT_BACK = 16
MAX_TOKENS = 2**62  # of all answers together: an endpoint may state any number, and a host tells int64


@dataclass(frozen=True, slots=True)
class AnswerEnd:
    """How an answer ended, and with which status; 0 where none came. `at_limit`: the model had more to say."""

    trouble: ModelTrouble = ModelTrouble.NONE
    status: int = 0
    at_limit: bool = False


@dataclass(frozen=True, slots=True)
class ModelUse:
    """An attempt's use of its model so far. `statuses` counts the endpoint's answers; `refused` requests never reached it."""

    requests: int = 0
    refused: int = 0
    broken: int = 0  # no answer, or not all of it
    statuses: Mapping[int, int] = field(default_factory=dict)
    tokens: Tokens = field(default_factory=Tokens)
    metered: int = 0  # answers that stated their tokens
    rate_limited: int = 0
    retry_after_seconds: int | None = None  # what the last rate limit or quota asked for
    unreachable: str = ""  # why the newest request found no endpoint
    model: str = ""  # the name that the endpoint gave with its newest thought
    thought: AnswerEnd = field(default_factory=AnswerEnd)  # the newest answer of the model
    aside: AnswerEnd = field(default_factory=AnswerEnd)  # the newest answer to whatever else was asked, since then
    kept_back: tuple[
        str, ...
    ] = ()  # fields, headers, parameters and tools of requests that the gateway did not pass on
    armed: bool = False  # the gateway refuses all further requests: see `rate_limits`
    measured: Measured = field(default_factory=Measured)

    def with_refusal(self) -> "ModelUse":
        """Counts a request that the gateway refused."""
        return replace(self, refused=self.refused + 1)

    def with_kept_back(self, names: Iterable[str]) -> "ModelUse":
        """Notes what of a request was not passed on, by name."""
        known = tuple(dict.fromkeys((*self.kept_back, *names)))[:MAX_KEPT_BACK]
        return self if known == self.kept_back else replace(self, kept_back=known)

    def with_unreachable(self, why: str, *, thinks: bool = True) -> "ModelUse":
        """Returns the use after a request that found no endpoint."""
        end = AnswerEnd(ModelTrouble.UNREACHABLE)
        return replace(_ended(self.with_failure(), end, thinks=thinks), unreachable=why)

    def with_failure(self) -> "ModelUse":
        """Counts a request that got no whole answer."""
        return replace(self, broken=self.broken + 1)

    def with_cut(self, status: int, *, thinks: bool = True) -> "ModelUse":
        """Counts a request whose answer the endpoint broke off; `status` is 0 where it had not begun."""
        return _ended(self.with_failure(), AnswerEnd(ModelTrouble.CUT, status), thinks=thinks)

    def with_request(self) -> "ModelUse":
        """Counts a request that is sent to the endpoint."""
        return replace(self, requests=self.requests + 1)

    def with_model(self, name: str) -> "ModelUse":
        """Notes the name that an answer gives the model, which is known before the answer ends, if it ever does."""
        return replace(self, model=name or self.model)

    def with_status(self, status: int) -> "ModelUse":
        """Counts the status of an answer that begins."""
        count = self.statuses.get(status, 0) + 1
        known = {**self.statuses, status: count} if status in self.statuses or len(self.statuses) < MAX_STATUSES else {}
        limited = self.rate_limited + (status in RATE_LIMITS)
        return replace(self, statuses=known or self.statuses, rate_limited=limited, unreachable="")

    def with_measured(self, seconds: float, traced: TracedRequest | None) -> "ModelUse":
        """Notes how long a request took."""
        return replace(self, measured=self.measured.with_request(seconds, traced))

    def with_end_armed(self) -> "ModelUse":
        """Returns the use after an answer that lets the attempt have no other."""
        return replace(self, armed=True)

    def with_end_disarmed(self) -> "ModelUse":
        """Returns the use at the beginning of another turn."""
        return replace(self, armed=False)

    def with_answer(
        self,
        status: int,
        reading: Reading,
        headers: Iterable[tuple[bytes, bytes]] = (),
        *,
        now: float = 0.0,
        thinks: bool = True,
    ) -> "ModelUse":
        """Counts a complete answer, with what it told. `now` is wall time, for limits that name a date."""
        use = self
        if reading.tokens is not None:
            taken, given = reading.tokens.taken, reading.tokens.given
            total = Tokens(min(self.tokens.taken + taken, MAX_TOKENS), min(self.tokens.given + given, MAX_TOKENS))
            use = replace(use, tokens=total, metered=self.metered + 1)
        if reading.trouble in {ModelTrouble.RATE_LIMIT, ModelTrouble.QUOTA}:
            use = replace(use, retry_after_seconds=wait_of(dict(headers), reading.error, now))
        if thinks:
            use = use.with_model(reading.model)
        if thinks and reading.trouble is ModelTrouble.CUT:
            use = use.with_failure()
        return _ended(use, AnswerEnd(reading.trouble, status, reading.at_limit), thinks=thinks)


def _ended(use: ModelUse, end: AnswerEnd, *, thinks: bool) -> ModelUse:
    return replace(use, thought=end, aside=AnswerEnd()) if thinks else replace(use, aside=end)


def metered(reported: Usage, use: ModelUse | None) -> Usage:
    """Returns an attempt's usage: the gateway's count outweighs what the agent says of itself."""
    if use is None or not use.metered:
        return reported
    return replace(reported, input_tokens=use.tokens.taken, output_tokens=use.tokens.given)


def answer_note(told: str, use: ModelUse | None) -> str:
    """Returns why the answer is not whole: in the agent's words, else by the end of the model's newest answer."""
    return told or (AT_LIMIT if use is not None and use.thought.at_limit else "")


_NESTED = frozenset({"statuses", "tokens", "thought", "aside", "kept_back", "measured"})
_PLAIN = tuple(name for name in ModelUse.__slots__ if name not in _NESTED)


def describe(use: ModelUse) -> dict[str, Any]:
    """Returns the use as JSON."""
    plain = {name: getattr(use, name) for name in _PLAIN}
    statuses = {str(status): count for status, count in sorted(use.statuses.items())}
    ends: dict[str, Any] = {
        name: [str(end.trouble), end.status, end.at_limit]
        for name, end in (("thought", use.thought), ("aside", use.aside))
    }
    ends["kept_back"] = list(use.kept_back)
    ends["measured"] = describe_measured(use.measured)
    return plain | ends | {"statuses": statuses, "taken": use.tokens.taken, "given": use.tokens.given}


def restore(described: Mapping[str, Any]) -> ModelUse:
    """Reads the use from JSON; fails with KeyError, TypeError or ValueError when `describe` did not write it."""
    new = {
        "unreachable": "",
        "model": "",
        "thought": ["", 0],
        "aside": _aside_of_old(described),
        "armed": False,
        "kept_back": (),
    }
    described = {**new, **described}
    known: dict[str, Any] = {name: described[name] for name in _PLAIN}
    known["statuses"] = {int(status): int(count) for status, count in described["statuses"].items()}
    known["tokens"] = Tokens(int(described["taken"]), int(described["given"]))
    known["kept_back"] = tuple(map(str, described["kept_back"]))
    known["measured"] = restore_measured(described["measured"]) if "measured" in described else Measured()
    for name in ("thought", "aside"):
        trouble, status, *at_limit = described[name]
        known[name] = AnswerEnd(ModelTrouble(trouble), int(status), any(at_limit))  # an earlier version wrote no third
    return ModelUse(**known)


def _aside_of_old(described: Mapping[str, Any]) -> list[Any]:
    """Returns the end that an earlier version meant by its last status, or by an endpoint that it did not reach."""
    status = int(described.get("last_status", 0))
    if described.get("unreachable"):
        return [str(ModelTrouble.UNREACHABLE), 0]
    return [str(trouble_of(status)) if status in UNAUTHORIZED | RATE_LIMITS else "", status]
