"""The place of a run in a distributed trace, after W3C Trace Context.

Ids of spans follow from what the spans are about. So a conductor that starts again continues the same trace, and tells each span
under the same id, however often.
"""

import hashlib
import re
from dataclasses import dataclass

# Versions above 00 may say more behind the flags; ff is none.
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.{0,200})?")
_NOTHING = frozenset({"0" * 32, "0" * 16})
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace of a run. `parent` is the span that the run belongs to; empty for a run that begins its trace.

    Where a caller decided against sampling, the trace is passed on and not told.
    """

    id: str
    parent: str = ""
    is_sampled: bool = True


def read_traceparent(text: str) -> Trace | None:
    """Reads the header `traceparent`; None for one that is not valid, which counts as none."""
    read = _TRACEPARENT.fullmatch(text)
    if read is None or {read[2], read[3]} & _NOTHING or (read[1] == "00" and read[5]):
        return None
    return Trace(read[2], read[3], bool(int(read[4], 16) & _SAMPLED))


def begin_trace(run: str) -> Trace:
    """Returns the trace of a run whose caller has none."""
    return Trace(_digest("trace", run)[:32])


def span_of_run(run: str) -> str:
    """Returns the id of a run's span."""
    return _digest("run", run)[:16]


def span_of_step(run: str, step: str) -> str:
    """Returns the id of a step's span."""
    return _digest("step", run, step)[:16]


def span_of_attempt(attempt: str) -> str:
    """Returns the id of an attempt's span."""
    return _digest("attempt", attempt)[:16]


def write_traceparent(trace: Trace | None, span: str) -> str:
    """Returns the header `traceparent` for what happens in a span; empty without a trace."""
    return "" if trace is None else f"00-{trace.id}-{span}-{_SAMPLED if trace.is_sampled else 0:02x}"


def _digest(*about: str) -> str:
    return hashlib.sha256("\0".join(about).encode()).hexdigest()
