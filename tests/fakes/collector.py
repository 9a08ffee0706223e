"""A collector of OpenTelemetry: takes spans over OTLP and gRPC, as the protocol says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True)
class Told:
    """A span as it was received."""

    span: Span
    service: str

    @property
    def attributes(self) -> dict[str, Any]:
        return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in self.span.attributes}

    @property
    def id(self) -> str:
        return self.span.span_id.hex()

    @property
    def parent(self) -> str:
        return self.span.parent_span_id.hex()

    @property
    def trace(self) -> str:
        return self.span.trace_id.hex()


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what it was told. `hangs` makes it take calls and never answer them."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.hangs = False
        self.calls = 0
        self.endpoint = ""

    async def Export(self, request: pb.ExportTraceServiceRequest, context: Any) -> pb.ExportTraceServiceResponse:  # noqa: N802
        self.calls += 1
        if self.hangs:
            await asyncio.Event().wait()
        self.take(request)
        return pb.ExportTraceServiceResponse()

    def take(self, request: pb.ExportTraceServiceRequest) -> None:
        for one in request.resource_spans:
            (service,) = (each.value.string_value for each in one.resource.attributes if each.key == "service.name")
            self.told += [Told(span, service) for scope in one.scope_spans for span in scope.spans]

    def named(self, name: str) -> list[Told]:
        """Returns the spans of a name."""
        return [told for told in self.told if told.span.name == name]

    def find(self, is_it: Callable[[Told], bool]) -> Told:
        """Returns the one span that it is."""
        (found,) = [told for told in self.told if is_it(told)]
        return found


@asynccontextmanager
async def collecting(collector: Collector, port: int = 0) -> AsyncIterator[Collector]:
    """Serves a collector on loopback."""
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(0)


class _Blocking(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def Export(self, request: pb.ExportTraceServiceRequest, context: Any) -> pb.ExportTraceServiceResponse:  # noqa: N802
        self._collector.take(request)
        return pb.ExportTraceServiceResponse()


@contextmanager
def collecting_in_threads() -> Iterator[Collector]:
    """Serves a collector beside a test that blocks."""
    collector, server = Collector(), grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_Blocking(collector), server)
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(0).wait()
