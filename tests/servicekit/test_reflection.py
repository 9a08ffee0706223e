"""Reflection in both versions, with comments. Keeps K1."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2

from servicekit.addresses import Address
from servicekit.channels import open_channel
from servicekit.server import Server

VERSIONS = ("v1", "v1alpha")


async def ask(target: str, version: str, **question: Any) -> Any:
    async with open_channel(target) as channel:
        method = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        answered = method(iter([reflection_pb2.ServerReflectionRequest(**question)]))
        responses = [response async for response in answered]
    return responses[0]


@pytest.fixture
async def target(tmp_path: Path) -> Any:
    server = await Server.start(Address.parse(f"unix:{tmp_path}/s"), [], service="conductor")
    yield server.target
    await server.stop(0)


def files_of(response: Any) -> dict[str, FileDescriptorProto]:
    files = [FileDescriptorProto.FromString(data) for data in response.file_descriptor_response.file_descriptor_proto]
    return {file.name: file for file in files}


@pytest.mark.parametrize("version", VERSIONS)
async def test_services_are_listed(version: str, target: str) -> None:
    response = await ask(target, version, list_services="")

    names = {service.name for service in response.list_services_response.service}
    assert {
        "conductor.v1.RunService",
        "conductor.v1.FlowService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    } <= names


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_described_service_has_its_comments_and_all_that_it_imports(version: str, target: str) -> None:
    response = await ask(target, version, file_containing_symbol="conductor.v1.RunService")

    files = files_of(response)
    run = files["conductor/v1/run_service.proto"]
    comments = [location.leading_comments for location in run.source_code_info.location]
    assert any("Starts a run and returns it at once" in comment for comment in comments)
    assert set(run.dependency) <= set(files)


@pytest.mark.parametrize(
    "symbol",
    [
        "google.rpc.ErrorInfo",
        "google.rpc.BadRequest.FieldViolation",
        "conductor.v1.RunService.CreateRun",
        "conductor.v1.Run.State.STATE_QUEUED",
        "conductor.v1.Run.STATE_QUEUED",
        "conductor.v1.Run.labels",
        "conductor.v1.CreateRunRequest.source",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1.ServerReflectionRequest",
        "google.protobuf.Struct",
    ],
)
async def test_every_kind_of_symbol_is_found(symbol: str, target: str) -> None:
    if symbol == "conductor.v1.Run.State.STATE_QUEUED":
        assert (await ask(target, "v1", file_containing_symbol=symbol)).error_response.error_code == 5
    else:
        assert files_of(await ask(target, "v1", file_containing_symbol=symbol))


async def test_v1_describes_itself_with_names_of_its_own(target: str) -> None:
    files = files_of(await ask(target, "v1", file_containing_symbol="grpc.reflection.v1.ServerReflection"))

    (file,) = files.values()
    assert b"v1alpha" not in file.SerializeToString()


@pytest.mark.parametrize(
    "question",
    [
        {"file_containing_symbol": "no.Such"},
        {"file_by_filename": "no_such.proto"},
        {"all_extension_numbers_of_type": "no.Such"},
        {"file_containing_extension": reflection_pb2.ExtensionRequest(containing_type="no.Such", extension_number=1)},
    ],
)
async def test_what_there_is_not_is_said_to_be_missing(question: Any, target: str) -> None:
    response = await ask(target, "v1", **question)

    assert response.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
