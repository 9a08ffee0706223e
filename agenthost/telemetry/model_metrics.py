"""Adds up what agents used of their models, from the books that the gateway keeps of each attempt (`core.models.metering`).

The books of attempts that run are read again every few seconds, by a thread; that of one that ends, once more at its end.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import Metric

from agenthost.attempt.execution import Execution
from agenthost.core.models.measuring import BOUNDS
from agenthost.core.models.metering import ModelUse
from agenthost.models.usage import read_use
from servicekit.metrics.families import counters, histograms

READ_SECONDS = 5.0


@dataclass(slots=True)
class _Total:
    """The use of one model by many attempts."""

    outcomes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0

    def add(self, use: ModelUse) -> None:
        """Adds the use of an attempt."""
        self.outcomes.update(refused=use.refused, broken=use.broken, rate_limited=use.rate_limited)
        self.outcomes["answered"] += max(0, use.requests - use.broken - use.rate_limited)
        for status, count in use.statuses.items():
            self.codes[f"{status // 100}xx"] += count
        self.tokens.update(input=use.tokens.taken, output=use.tokens.given)
        latencies = use.measured.latencies
        self.counts = [sum(pair) for pair in zip(self.counts, latencies.counts, strict=True)]
        self.seconds += latencies.seconds


class ModelMetrics:
    """The use of each model, by its name in the host's configuration."""

    def __init__(self, models: Sequence[str]) -> None:
        self._models = tuple(models)
        self._ended = {name: _Total() for name in models}
        self._live: dict[str, tuple[str, ModelUse]] = {}  # by execution: its model and its book as it was read last

    async def keep_reading(self, running: Sequence[Execution]) -> None:
        """Reads the books of attempts that run."""
        asked = [execution for execution in running if model_of(execution) in self._models]
        books = await asyncio.to_thread(lambda: [_read(execution) for execution in asked])
        for execution, book in zip(asked, books, strict=True):
            if book is not None and not execution.ended:
                self._live[execution.id] = (model_of(execution), book)

    def note_end(self, execution: Execution) -> None:
        """Adds the use of an attempt that has ended."""
        _, known = self._live.pop(execution.id, ("", None))
        use = _read(execution) or known
        if use is not None and (total := self._ended.get(model_of(execution))) is not None:
            total.add(use)

    def gather(self) -> Iterator[Metric]:
        """Yields the metrics as of the last reading."""
        totals = self._totals()
        yield counters(
            "agenthost_model_requests",
            "Requests of agents to a model, by outcome.",
            ("model", "outcome"),
            {(name, told): value for name, total in totals.items() for told, value in total.outcomes.items()},
        )
        yield counters(
            "agenthost_model_responses",
            "Answers of a model's endpoint, by class of HTTP status.",
            ("model", "code"),
            {(name, told): value for name, total in totals.items() for told, value in total.codes.items()},
        )
        yield counters(
            "agenthost_model_tokens",
            "Tokens that a model took and gave.",
            ("model", "direction"),
            {(name, told): value for name, total in totals.items() for told, value in total.tokens.items()},
        )
        yield histograms(
            "agenthost_model_request_duration_seconds",
            "From a request of the gateway to the end of its answer.",
            "model",
            BOUNDS,
            {name: (total.counts, total.seconds) for name, total in totals.items()},
        )

    def _totals(self) -> Mapping[str, _Total]:
        totals = {
            name: _Total(total.outcomes.copy(), total.codes.copy(), total.tokens.copy(), total.counts, total.seconds)
            for name, total in self._ended.items()  # its names do not change
        }
        for model, use in list(self._live.values()):
            totals[model].add(use)
        return totals


def model_of(execution: Execution) -> str:
    """Names the model of an attempt; empty where its agent asks none."""
    spec = execution.request.agent.spec
    return spec.model if spec is not None else ""


def _read(execution: Execution) -> ModelUse | None:
    try:
        return read_use(execution.request.folder)
    except OSError:  # this process runs short of something: the next reading has it
        return None
