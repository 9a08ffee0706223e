"""Reads where a caller is traced: the header `traceparent` of W3C Trace Context, as gRPC metadata."""

from typing import Any

from conductor.core.model.trace import Trace, read_traceparent

HEADER = "traceparent"


def read_caller_trace(context: Any) -> Trace | None:
    """Returns the caller's trace. None without a header, and for one that is not valid: it must break no request."""
    values = [value for name, value in context.invocation_metadata() or () if name == HEADER]
    return read_traceparent(values[0]) if len(values) == 1 and isinstance(values[0], str) else None
