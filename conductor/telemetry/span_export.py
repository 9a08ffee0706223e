"""Sends spans to a collector of OpenTelemetry, over OTLP and gRPC, from a thread of its own.

The library reads the standard variables for all but the endpoint: headers, certificates, timeout, compression, resource.
"""

import asyncio
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from opentelemetry.exporter.otlp.proto.grpc import exporter as _library
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from conductor.telemetry.spans import Span, text_of

SEND_SECONDS = 10.0

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class SpanExport:
    """A collector, as spans reach it. `conductor` names this conductor as the instance of its service."""

    def __init__(self, endpoint: str, version: str, conductor: str) -> None:
        # The caller logs one line when it begins to fail, and one when it works again.
        logging.getLogger(_library.__name__).setLevel(logging.CRITICAL)
        named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "conductor"}
        about = {**named, "service.version": version, "service.instance.id": conductor}
        self._resource = Resource.create(about)
        self._scope = InstrumentationScope("conductor", version)
        self._exporter = OTLPSpanExporter(endpoint=endpoint, timeout=SEND_SECONDS)
        self._thread = ThreadPoolExecutor(1, "traces")

    async def send(self, spans: Sequence[Span]) -> bool:
        """Returns whether the collector took the spans. It takes at most `SEND_SECONDS`."""
        readable = [self._readable(span) for span in spans]
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._thread, self._exporter.export, readable)
        return result is SpanExportResult.SUCCESS

    def close(self) -> None:
        """Ends what is being sent, so that no stop of the service waits for a collector."""
        self._exporter.shutdown()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _readable(self, span: Span) -> ReadableSpan:
        attributes = dict(span.attributes)
        if span.error:
            attributes["error.type"] = text_of(span.error)
        return ReadableSpan(
            name=text_of(span.name),
            context=_context(span.trace, span.id),
            parent=_context(span.trace, span.parent) if span.parent else None,
            resource=self._resource,
            attributes=attributes,
            kind=SpanKind.CLIENT if span.is_remote else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, text_of(span.error)) if span.error else Status(StatusCode.UNSET),
            start_time=_nanoseconds(span.start),
            end_time=_nanoseconds(max(span.start, span.end)),
            instrumentation_scope=self._scope,
        )


def _context(trace: str, span: str) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=_SAMPLED)


def _nanoseconds(seconds: float) -> int:
    """Returns whole microseconds, which stored times have, in nanoseconds."""
    return round(seconds * 1e6) * 1000
