"""Turns the options of `conductor run` into a CreateRunRequest; what is wrong with them is said by option."""

import json
import sys
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from google.protobuf import json_format

from conductor.cli.text.failure import CommandError
from conductor.v1 import run_service_pb2

# What a question read from stdin may hold before the server is asked at all.
QUESTION_BYTES = 1024 * 1024


def create_request(flow: str, path: Path, options: Mapping[str, object]) -> run_service_pb2.CreateRunRequest:
    """Returns the request that the options mean; raises a CommandError that names a wrong option."""
    inputs: dict[str, object] = {name: _value(text) for name, text in named_values("--input", options["extras"])}
    if options["question"] is not None:
        inputs["question"] = _question(str(options["question"]))
    if options["band"] is not None:
        inputs["band"] = options["band"]
    workspace = run_service_pb2.Workspace(path=str(path))
    if options["commit"] is not None:
        workspace.mode = run_service_pb2.Workspace.MODE_COMMIT
        workspace.revision = str(options["commit"])
    request = run_service_pb2.CreateRunRequest(
        workspace=workspace,
        labels=dict(named_values("--label", options["labels"])),
        priority=int(str(options["priority"])),
        # Always with an id, so that a retry after a lost answer cannot start a second run.
        request_id=str(options["request_id"] or uuid.uuid4()),
    )
    json_format.ParseDict(inputs, request.inputs)
    set_flow(request, flow)
    return request


def named_values(option: str, given: object) -> list[tuple[str, str]]:
    """Splits each `NAME=VALUE` of a repeatable option."""
    pairs = []
    for text in given if isinstance(given, Iterable) else ():
        name, equals, value = str(text).partition("=")
        if not equals or not name:
            raise CommandError(f"{option} takes NAME=VALUE, not '{text}'")
        pairs.append((name, value))
    return pairs


def is_file(flow: str) -> bool:
    """Returns whether a flow is given as a file."""
    return Path(flow).suffix in (".yaml", ".yml", ".json")


def set_flow(request: run_service_pb2.CreateRunRequest, flow: str) -> None:
    """Sends a file inline; takes anything else for the name of a flow that the server knows."""
    if not is_file(flow):
        request.flow = flow if flow.startswith("flows/") else f"flows/{flow}"
        return
    from conductor.cli.commands.flows import read_flow

    request.inline.CopyFrom(read_flow(Path(flow)))


def _question(given: str) -> str:
    if given != "-":
        return given
    text = sys.stdin.read(QUESTION_BYTES + 1)
    if len(text) > QUESTION_BYTES:
        raise CommandError(f"--question: stdin holds more than {QUESTION_BYTES} characters")
    return text


def _value(text: str) -> object:
    """Returns JSON where the text parses (`3`, `true`, `["a"]`), else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
