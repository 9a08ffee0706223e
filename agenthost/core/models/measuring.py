"""Measures an attempt's requests to its model: how long they took, and, where the attempt has a trace, each as a span of it.

Spans have the ids that the endpoint was told. An id follows from the attempt and the request's number, so that a gateway that
takes over from another uses none twice.
"""

import hashlib
import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

# Upper bounds in seconds: models think.
BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
MAX_TRACED = 256

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def read_traceparent(text: str) -> str:
    """Returns the `traceparent` of a Start; empty for one that is not valid, which counts as none."""
    return text if _TRACEPARENT.fullmatch(text) else ""


def trace_of(traceparent: str) -> str:
    """Returns the id of the trace."""
    return traceparent.split("-")[1]


def span_of_request(execution: str, number: int) -> str:
    """Returns the id of the span of an attempt's request; numbers count from 1."""
    return hashlib.sha256(f"request\0{execution}\0{number}".encode()).hexdigest()[:16]


def child_of(traceparent: str, span: str) -> str:
    """Returns the `traceparent` for what happens in a span below another."""
    version, trace, _, flags = traceparent.split("-")
    return f"{version}-{trace}-{span}-{flags}"


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long requests took: their number by `BOUNDS`, the last for all above, and the sum of their seconds."""

    counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    seconds: float = 0.0

    def with_request(self, seconds: float) -> "Latencies":
        """Counts a request."""
        place = bisect_left(BOUNDS, seconds)
        counts = (*self.counts[:place], self.counts[place] + 1, *self.counts[place + 1 :])
        return Latencies(counts, self.seconds + seconds)


@dataclass(frozen=True, slots=True)
class TracedRequest:
    """A request as a span. `begun` is wall time; `trouble` says why it has no whole answer; empty for none."""

    span: str
    begun: float
    seconds: float
    status: int = 0
    taken: int = 0
    given: int = 0
    model: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """All requests of an attempt so far. `traced` has the first ones of an attempt with a trace."""

    latencies: Latencies = field(default_factory=Latencies)
    traced: tuple[TracedRequest, ...] = ()

    def with_request(self, seconds: float, traced: TracedRequest | None) -> "Measured":
        """Counts a request, and keeps it where it is traced and there is room."""
        kept = self.traced if traced is None or len(self.traced) >= MAX_TRACED else (*self.traced, traced)
        return replace(self, latencies=self.latencies.with_request(seconds), traced=kept)


def describe_measured(measured: Measured) -> dict[str, Any]:
    """Returns it as JSON."""
    traced = [[getattr(one, name) for name in _TRACED] for one in measured.traced]
    return {"counts": list(measured.latencies.counts), "seconds": measured.latencies.seconds, "traced": traced}


def restore_measured(described: Mapping[str, Any]) -> Measured:
    """Reads it from JSON; fails with KeyError, TypeError or ValueError where `describe_measured` did not write it."""
    counts = tuple(map(int, described["counts"]))
    if len(counts) != len(BOUNDS) + 1:
        raise ValueError("other bounds")
    traced = tuple(TracedRequest(**dict(zip(_TRACED, one, strict=True))) for one in described["traced"])
    return Measured(Latencies(counts, float(described["seconds"])), traced)


_TRACED = tuple(one.name for one in fields(TracedRequest))
