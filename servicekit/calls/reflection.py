"""Server reflection, v1 and v1alpha, over the shipped descriptors with their comments.

grpcio-reflection serves v1alpha only and strips comments (grpc#38576); only its messages are used here, which are the same on the
wire under both names. `google/rpc/error_details.proto` is served too, so that grpcurl prints the details of errors.
"""

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import grpc
from grpc_reflection.v1alpha import reflection_pb2

if TYPE_CHECKING:  # loaded by the first question
    from servicekit.calls.descriptors import DescriptorLibrary

PACKAGES = ("grpc.reflection.v1", "grpc.reflection.v1alpha")


class ReflectionServicer:
    """Answers questions about the descriptors of one library, which the first question loads."""

    def __init__(self, load: "Callable[[], DescriptorLibrary]") -> None:
        self._load = load

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serves both versions."""
        method = grpc.stream_stream_rpc_method_handler(
            self.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        handlers = [
            grpc.method_handlers_generic_handler(f"{package}.ServerReflection", {"ServerReflectionInfo": method})
            for package in PACKAGES
        ]
        server.add_generic_rpc_handlers(tuple(handlers))

    async def ServerReflectionInfo(self, requests: AsyncIterator[Any], _: Any) -> AsyncIterator[Any]:  # noqa: N802
        """Answers each question in turn."""
        async for request in requests:
            yield self._answer(request)

    def _answer(self, request: Any) -> Any:
        library = self._load()
        response = reflection_pb2.ServerReflectionResponse(valid_host=request.host, original_request=request)
        match request.WhichOneof("message_request"):
            case "list_services":
                names = [reflection_pb2.ServiceResponse(name=name) for name in library.services]
                response.list_services_response.service.extend(names)
            case "file_by_filename":
                _put_files(response, library.file_named(request.file_by_filename))
            case "file_containing_symbol":
                _put_files(response, library.file_defining(request.file_containing_symbol))
            case "file_containing_extension":
                asked = request.file_containing_extension
                _put_files(response, library.file_extending(asked.containing_type, asked.extension_number))
            case "all_extension_numbers_of_type":
                _put_numbers(response, library, request.all_extension_numbers_of_type)
            case _:
                _put_error(response, grpc.StatusCode.INVALID_ARGUMENT, "the request asks nothing")
        return response


def _put_files(response: Any, files: tuple[bytes, ...] | None) -> None:
    if files is None:
        _put_error(response, grpc.StatusCode.NOT_FOUND, "there is no such file or symbol")
    else:
        response.file_descriptor_response.file_descriptor_proto.extend(files)


def _put_numbers(response: Any, library: "DescriptorLibrary", extendee: str) -> None:
    numbers = library.extension_numbers(extendee)
    if numbers is None:
        _put_error(response, grpc.StatusCode.NOT_FOUND, "there is no such message")
    else:
        response.all_extension_numbers_response.base_type_name = extendee
        response.all_extension_numbers_response.extension_number.extend(numbers)


def _put_error(response: Any, code: grpc.StatusCode, text: str) -> None:
    response.error_response.error_code = code.value[0]
    response.error_response.error_message = text
