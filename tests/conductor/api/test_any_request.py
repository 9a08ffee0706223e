"""Whatever a client sends to whatever method: an answer or a typed refusal, and the conductor goes on. Keeps B6 K5."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import pool_service_pb2, run_service_pb2, server_service_pb2
from servicekit.statuses import read_refusal
from tests.conductor.running_conductor import Running, agent_step, running_conductor
from tests.kit.messages import TEXTS, messages

pytestmark = pytest.mark.processes

FOLD = flow_pb.Flow.Step(id="end", fold=flow_pb.FoldWork(template="done"))
FILES = (flow_pb, pool_service_pb2, run_service_pb2, server_service_pb2)
METHODS = [
    method for file in FILES for service in file.DESCRIPTOR.services_by_name.values() for method in service.methods
]
NAMES = ("end", "scripted", "runs/x", "flows/survey", "hosts/x", "pools/default", "{{ steps.end.output }}", "1 + 1")
WAIT_SECONDS = 0.3


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_conductor(tmp_path) as running:
        yield running


async def _told(it: Running, method: MethodDescriptor, request: Any) -> grpc.aio.AioRpcError | None:
    """How a call is refused; None where it is answered, or streams on."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    made = {
        "request_serializer": GetMessageClass(method.input_type).SerializeToString,
        "response_deserializer": GetMessageClass(method.output_type).FromString,
    }
    try:
        if not method.server_streaming:
            await it.channel.unary_unary(path, **made)(request, timeout=20)
            return None
        call = it.channel.unary_stream(path, **made)(request)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                [None async for _ in call]
        except TimeoutError:
            call.cancel()
    except grpc.aio.AioRpcError as error:
        return error
    return None


def _honest(method: MethodDescriptor, it: Running) -> Message:
    """A request that goes well, where the method takes a flow."""
    request = GetMessageClass(method.input_type)()
    flow = flow_pb.Flow(name="flows/test", steps=[agent_step("ask"), FOLD])
    if isinstance(request, run_service_pb2.CreateRunRequest):
        request.inline.CopyFrom(flow)
        request.workspace.path = str(it.workspace)
    elif isinstance(request, flow_pb.ValidateFlowRequest):
        request.flow.CopyFrom(flow)
    return request


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(data=st.data())
@pytest.mark.parametrize("method", METHODS, ids=[method.name for method in METHODS])
async def test_any_request_is_answered_or_refused_by_name(
    method: MethodDescriptor, data: st.DataObject, it: Running
) -> None:
    run = await it.create(FOLD)
    texts = (*TEXTS, *NAMES, run.name, f"{run.name}/steps/end", str(it.workspace))
    request = _honest(method, it) if data.draw(st.booleans()) else GetMessageClass(method.input_type)()
    request.MergeFrom(data.draw(messages(method.input_type, texts)))

    error = await _told(it, method, request)

    if error is not None:
        refused = read_refusal(error)
        assert refused.code not in {"INTERNAL", "UNKNOWN", "DATA_LOSS", "DEADLINE_EXCEEDED"}, (error, request)
        assert refused.reason, (error, request)
    assert (await it.server.GetServerInfo(server_service_pb2.GetServerInfoRequest())).conductor_id
