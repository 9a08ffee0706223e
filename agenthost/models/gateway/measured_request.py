"""Measures one request to the endpoint, from its sending to the end of its answer, and names its span to the endpoint.

An attempt has one request at a time, so what changed in its book meanwhile is the request's.
"""

import time

from agenthost.core.models.gateway_rules import Headers
from agenthost.core.models.measuring import TracedRequest, child_of, span_of_request
from agenthost.core.models.metering import ModelUse
from agenthost.core.models.refusals import ModelTrouble
from agenthost.models.gateway.account import Account

_TRACEPARENT = b"traceparent"
_OF_THE_AGENT = frozenset({_TRACEPARENT, b"tracestate"})


class MeasuredRequest:
    """A request that begins now; the account has counted it already."""

    def __init__(self, account: Account, *, thinks: bool) -> None:
        self._account, self._thinks = account, thinks
        self._before = account.use
        self._begun, self._clock = time.time(), time.monotonic()
        self._parent = account.attempt.traceparent
        self._span = span_of_request(account.attempt.execution, account.use.requests) if self._parent else ""

    def headers(self, headers: Headers) -> Headers:
        """Returns the headers to send: of an attempt with a trace they name this request's span, and not the agent's."""
        if not self._span:
            return headers
        others = tuple((name, value) for name, value in headers if name not in _OF_THE_AGENT)
        return (*others, (_TRACEPARENT, child_of(self._parent, self._span).encode()))

    def finish(self) -> None:
        """Counts how long it took."""
        seconds = time.monotonic() - self._clock
        use = self._account.use
        traced = self._describe(use, seconds) if self._span else None
        self._account.use = use.with_measured(seconds, traced)

    def _describe(self, use: ModelUse, seconds: float) -> TracedRequest:
        before = self._before
        answered = [status for status, count in use.statuses.items() if count > before.statuses.get(status, 0)]
        end = use.thought if self._thinks else use.aside
        is_broken = use.broken > before.broken
        trouble = str(end.trouble) if answered or is_broken else ""
        return TracedRequest(
            self._span,
            self._begun,
            seconds,
            answered[0] if answered else 0,
            use.tokens.taken - before.tokens.taken,
            use.tokens.given - before.tokens.given,
            use.model if answered and self._thinks else "",
            trouble or (str(ModelTrouble.CUT) if is_broken else ""),
        )
