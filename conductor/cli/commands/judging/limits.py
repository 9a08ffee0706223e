"""`--max-minutes` and `--max-tokens`: cancel a run that takes more. The command watches; a run that it leaves has no limit."""

import contextlib
import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click
import grpc

from conductor.cli.connection import CALL_SECONDS, Connection
from conductor.v1 import run_service_pb2

Watched = run_service_pb2.WatchRunResponse


class RunLimits:
    """Counts what a run takes, up to its limits. `reason` says why it was cancelled."""

    def __init__(
        self,
        max_minutes: float | None,
        max_tokens: int | None,
        now: Callable[[], float] = time.monotonic,
        *,
        may_pause: bool = True,
    ) -> None:
        self._until = now() + max_minutes * 60 if max_minutes else None
        self._max_minutes, self._max_tokens, self._now = max_minutes, max_tokens, now
        self._may_pause = may_pause
        self._tokens: dict[str, int] = {}
        self.reason = ""
        self.is_out_of_time = False

    def note(self, told: Watched) -> bool:
        """Takes in a message of WatchRun; returns whether it is the first by which the run takes too much."""
        for attempt, tokens in _tokens(told):
            self._tokens[attempt] = max(tokens, self._tokens.get(attempt, 0))
        if self.reason:
            return False
        used = sum(self._tokens.values())
        if self._max_tokens and used > self._max_tokens:
            self.reason = f"it has used {used} tokens, more than --max-tokens {self._max_tokens}"
        elif self._until is not None and self._now() > self._until:
            self.reason, self.is_out_of_time = f"it took longer than --max-minutes {self._max_minutes:g}", True
        elif not self._may_pause and told.run.state == run_service_pb2.Run.STATE_PAUSED:
            self.reason = "it waits at a gate whose conductor ends with this command, so a person has no time to decide"
        return bool(self.reason)

    def cancel(self, connection: Connection, run: str) -> None:
        """Cancels the run; one that ends meanwhile needs no cancelling."""
        request = run_service_pb2.CancelRunRequest(name=run, reason=self.reason, request_id=str(uuid.uuid4()))
        with contextlib.suppress(grpc.RpcError):
            connection.runs.CancelRun(request, timeout=CALL_SECONDS)


def limits_of(options: Mapping[str, Any], *, may_pause: bool) -> RunLimits:
    """Returns the limits that the options name. Where a run may not pause, one that waits at gates is cancelled."""
    return RunLimits(options["max_minutes"], options["max_tokens"], may_pause=may_pause)


def finite(_context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    """Returns the value of an option; refuses `nan`, which lies within any range and limits nothing, and `inf`."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"'{value}' limits nothing; give a number, or leave {option.opts[0]} out")
    return value


def _tokens(told: Watched) -> Iterator[tuple[str, int]]:
    """Yields what attempts have used so far: at their end, and whenever they tell it."""
    steps = [*told.run.steps, told.step]
    for attempt in (attempt for step in steps for attempt in step.attempts):
        yield attempt.id, attempt.input_tokens + attempt.output_tokens
    for activity in told.output.activities:
        yield told.output.attempt, activity.usage.input_tokens + activity.usage.output_tokens
