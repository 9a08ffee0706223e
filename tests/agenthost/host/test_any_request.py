"""Whatever a client sends to whatever method of a host: an answer or a typed refusal, and the host goes on. Keeps B6 K5."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import host_service_pb2, snapshot_service_pb2
from servicekit.statuses import LOST_BY_GRPC, read_refusal
from tests.agenthost.running_host import CONDUCTOR, Client, execution_id, make_repository, open_host
from tests.kit.messages import TEXTS, messages

pytestmark = pytest.mark.processes

FILES = (pb, host_service_pb2, snapshot_service_pb2)
METHODS = [
    method for file in FILES for service in file.DESCRIPTOR.services_by_name.values() for method in service.methods
]
NAMES = ("scripted", CONDUCTOR, execution_id(), "0" * 40, "#scripted\nsay hello", "/etc/passwd", "../x")
WAIT_SECONDS = 0.3


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Client]:
    async with open_host(tmp_path, make_repository(tmp_path / "repository")) as client:
        yield client


async def _told(host: Client, method: MethodDescriptor, requests: list[Any]) -> grpc.aio.AioRpcError | None:
    """How a call is refused; None where it is answered, or streams on."""
    kind = ("stream_" if method.client_streaming else "unary_") + ("stream" if method.server_streaming else "unary")
    call = getattr(host.channel, kind)(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )(iter(requests) if method.client_streaming else requests[0])
    try:
        async with asyncio.timeout(WAIT_SECONDS if method.server_streaming else 20):
            if method.server_streaming:
                [None async for _ in call]
            else:
                await call
    except TimeoutError:
        assert method.server_streaming
        call.cancel()
    except grpc.aio.AioRpcError as error:
        # A call that the host ended while it was written to has lost its status in the client's gRPC.
        return None if error.details() == LOST_BY_GRPC else error
    return None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(data=st.data())
@pytest.mark.parametrize("method", METHODS, ids=[method.name for method in METHODS])
async def test_any_request_is_answered_or_refused_by_name(
    method: MethodDescriptor, data: st.DataObject, host: Client
) -> None:
    any_of = messages(method.input_type, (*TEXTS, *NAMES, host.snapshot))
    requests: list[Any] = data.draw(st.lists(any_of, min_size=1, max_size=4))
    if method.name == "Execute" and data.draw(st.booleans()):
        start = host.start_of("say hello", step=data.draw(st.sampled_from(["a", "b"])))
        requests.insert(0, pb.ExecuteRequest(conductor_id=CONDUCTOR, epoch=1, start=start))
        for request in requests:
            request.conductor_id, request.epoch = CONDUCTOR, 1
        requests[0].start.MergeFrom(data.draw(messages(pb.Start.DESCRIPTOR, (*TEXTS, *NAMES, host.snapshot))))
    if method.name == "PushSnapshot" and data.draw(st.booleans()):
        requests.insert(0, snapshot_service_pb2.PushSnapshotRequest(header={"snapshot": "0" * 40}))

    error = await _told(host, method, requests)

    if error is not None:
        refused = read_refusal(error)
        assert refused.code not in {"INTERNAL", "UNKNOWN", "DATA_LOSS"}, (error, requests)
        assert refused.reason, (error, requests)
    assert (await host.hosts.GetHost(host_service_pb2.GetHostRequest())).instance
