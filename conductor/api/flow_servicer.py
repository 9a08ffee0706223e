"""FlowService: the catalogue as messages. It executes nothing of a flow."""

from typing import Any

from conductor.api.messages.library import read_library
from conductor.api.messages.tokens import read_page_size, seal, unseal
from conductor.errors import FlowProblem, InvalidRequestError, Violation
from conductor.flows.library.catalogue import Catalogue
from conductor.v1 import flow_service_pb2 as pb
from conductor.v1 import flow_service_pb2_grpc

MAX_YAML_BYTES = 1024 * 1024
MAX_PATH_CHARACTERS = 1_000
# A page of long flows holds fewer than were asked for.
MAX_PAGE_BYTES = 2 * 1024 * 1024
MAX_PROBLEMS = 500

_LIST = "flows"


class FlowServicer(flow_service_pb2_grpc.FlowServiceServicer):
    """Reads flows."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def ListFlows(self, request: pb.ListFlowsRequest, context: Any) -> pb.ListFlowsResponse:
        size = read_page_size(request.page_size)
        after = str(unseal(request.page_token, _LIST, "page_token")[0]) if request.page_token else ""
        listing = await self._catalogue.list()
        flows = [loaded.flow for loaded in listing.flows if loaded.flow.name > after]
        page = _fitting(flows[:size])
        token = seal(_LIST, page[-1].name) if len(flows) > len(page) else ""
        problems = [] if after else [_problem(problem) for problem in listing.problems[:MAX_PROBLEMS]]
        return pb.ListFlowsResponse(flows=page, next_page_token=token, problems=problems)

    async def GetFlow(self, request: pb.GetFlowRequest, context: Any) -> pb.Flow:
        if not request.name:
            raise InvalidRequestError(Violation("name", "is empty; give flows/{flow}"))
        return (await self._catalogue.get(request.name)).flow

    async def ValidateFlow(self, request: pb.ValidateFlowRequest, context: Any) -> pb.ValidateFlowResponse:
        if len(request.path) > MAX_PATH_CHARACTERS:
            raise InvalidRequestError(Violation("path", f"has more than {MAX_PATH_CHARACTERS} characters"))
        path, sent = request.path or "flow", read_library(request.library)
        match request.WhichOneof("source"):
            case "yaml":
                data = request.yaml.encode()
                if len(data) > MAX_YAML_BYTES:
                    raise InvalidRequestError(
                        Violation("yaml", f"has {len(data)} bytes; the limit is {MAX_YAML_BYTES}")
                    )
                judgement = await self._catalogue.validate_text(data, path, sent)
            case "flow":
                judgement = await self._catalogue.validate_message(request.flow, path, sent)
            case _:
                raise InvalidRequestError(Violation("yaml", "give the text of a flow file, or a flow as a message"))
        return pb.ValidateFlowResponse(
            problems=[_problem(problem) for problem in judgement.problems],
            revision=judgement.flow.revision if judgement.flow else "",
        )


def _fitting(flows: list[pb.Flow]) -> list[pb.Flow]:
    """Returns as many of them as a page may hold, and at least one."""
    size = 0
    for place, flow in enumerate(flows):
        size += flow.ByteSize()
        if place and size > MAX_PAGE_BYTES:
            return flows[:place]
    return flows


def _problem(problem: FlowProblem) -> pb.FlowProblem:
    return pb.FlowProblem(path=problem.path, line=problem.line, field=problem.field, text=problem.text)
