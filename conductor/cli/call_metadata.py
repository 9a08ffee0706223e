"""What every call of this command line brings beside its request: the token, and the trace that the command is part of."""

import os
import re
from typing import Any

import grpc

Metadata = tuple[tuple[str, str], ...]

# As programs that start others in a trace name it, such as pipelines: the header of W3C Trace Context.
TRACEPARENT = "TRACEPARENT"
_TEXT = re.compile(r"[0-9a-f-]{1,256}")


def metadata_of(token: str) -> Metadata:
    """Returns what calls bring; a trace that is none is left out, and the conductor judges the rest of it."""
    traceparent = os.environ.get(TRACEPARENT, "")
    traced = (("traceparent", traceparent),) if _TEXT.fullmatch(traceparent) else ()
    return (*((("authorization", f"Bearer {token}"),) if token else ()), *traced)


class MetadataInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds these pairs to the metadata of each call."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:  # noqa: D102
        return continuation(self._with_metadata(client_call_details), request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:  # noqa: D102
        return continuation(self._with_metadata(client_call_details), request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:  # noqa: D102
        return continuation(self._with_metadata(client_call_details), request_iterator)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:  # noqa: D102
        return continuation(self._with_metadata(client_call_details), request_iterator)

    def _with_metadata(self, details: Any) -> Any:
        return details._replace(metadata=(*(details.metadata or ()), *self._metadata))
