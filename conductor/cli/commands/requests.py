"""Turns the options of `conductor run` into a CreateRunRequest; what is wrong with them is said by option."""

import codecs
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from google.protobuf import json_format

from conductor.cli.commands.inputs import typed_inputs
from conductor.cli.connection import CALL_SECONDS, Connection
from conductor.cli.text.failure import CommandError
from conductor.v1 import flow_service_pb2, run_service_pb2

# What a question read from stdin may hold before the server is asked at all.
QUESTION_BYTES = 1024 * 1024


def create_request(
    flow: str, path: Path | str, options: Mapping[str, object], flow_of: Callable[[str], flow_service_pb2.Flow]
) -> run_service_pb2.CreateRunRequest:
    """Returns the request that the options mean; raises a CommandError that names a wrong option.

    `flow_of` returns the flow of a name. It is asked only where an input's type is needed.
    """
    extras = named_values("--input", options["extras"])
    _refuse_second_value(extras, options)
    workspace = _workspace(path, options)
    _set_scope(workspace, options)
    request = run_service_pb2.CreateRunRequest(
        workspace=workspace,
        labels=dict(named_values("--label", options["labels"])),
        priority=int(str(options["priority"])),
        # Always with an id, so that a retry after a lost answer cannot start a second run.
        request_id=str(options["request_id"] or uuid.uuid4()),
        title=str(options["title"] or ""),
        plan_hash=str(options["plan_hash"]),
    )
    agents = options.get("agents")
    request.selector.agents.extend(map(str, agents if isinstance(agents, Iterable) else ()))
    request.selector.labels.update(named_values("--host-label", options.get("host_labels") or ()))
    set_flow(request, flow, Path(str(options["project"])) if options.get("project") else None)
    inputs = dict[str, object]()
    if extras:
        chosen = request.inline if request.HasField("inline") else flow_of(request.flow)
        inputs = typed_inputs(extras, json_format.MessageToDict(chosen.input_schema))
    if options["question"] is not None:
        inputs["question"] = _question(str(options["question"]))
    if options["band"] is not None:
        inputs["band"] = options["band"]
    json_format.ParseDict(inputs, request.inputs)
    return request


def flow_of(connection: Connection) -> Callable[[str], flow_service_pb2.Flow]:
    """Returns a function that asks for the flow of a name."""
    return lambda named: connection.flows.GetFlow(flow_service_pb2.GetFlowRequest(name=named), timeout=CALL_SECONDS)


def _workspace(path: Path | str, options: Mapping[str, object]) -> run_service_pb2.Workspace:
    """Returns the workspace at a path, or of the URL of a repository."""
    commit, revision = options["commit"], options.get("revision")
    if isinstance(path, str):
        if commit is not None or options["uncommitted"] or options.get("push"):
            raise CommandError(
                "a URL is fetched by the conductor: it takes --revision, not --commit, --uncommitted or --push"
            )
        return run_service_pb2.Workspace(url=path, revision=str(revision or ""))
    if revision is not None:
        raise CommandError("--revision is for a URL; of a directory, --commit reads a commit")
    workspace = workspace_at(path)
    if commit is not None:
        workspace.mode = run_service_pb2.Workspace.MODE_COMMIT
        workspace.revision = str(commit)
    return workspace


def _set_scope(workspace: run_service_pb2.Workspace, options: Mapping[str, object]) -> None:
    since, paths = options["since"], options["paths"]
    if since is not None and options["uncommitted"]:
        raise CommandError("--since and --uncommitted are two scopes: give one of them")
    if options["commit"] is not None and options["uncommitted"]:
        raise CommandError("--uncommitted is about the working tree, and --commit reads none: leave one of them out")
    if options["uncommitted"]:
        workspace.scope = run_service_pb2.Workspace.SCOPE_UNCOMMITTED
    elif since is not None:
        workspace.scope = run_service_pb2.Workspace.SCOPE_DIFF
        workspace.base_revision = str(since)
    for path in paths if isinstance(paths, Iterable) else ():
        try:
            workspace.paths.append(os.fsencode(str(path)).decode())
        except UnicodeError:
            raise CommandError(f"--paths {path!r} is not UTF-8; name a folder above it") from None


def workspace_at(path: Path) -> run_service_pb2.Workspace:
    """Returns the workspace at a path: the path's bytes as UTF-8, also where this locale has another encoding."""
    full = path.resolve()
    try:
        return run_service_pb2.Workspace(path=os.fsencode(full).decode())
    except UnicodeError:
        raise CommandError(f"the path {full} is not UTF-8; give the directory a name in UTF-8") from None


def named_values(option: str, given: object) -> list[tuple[str, str]]:
    """Splits each `NAME=VALUE` of a repeatable option."""
    pairs = list[tuple[str, str]]()
    for text in given if isinstance(given, Iterable) else ():
        name, equals, value = str(text).partition("=")
        if not equals or not name:
            raise CommandError(f"{option} takes NAME=VALUE, not '{text}'")
        if name in (earlier for earlier, _ in pairs):
            raise CommandError(f"{option} {name} is given twice")
        pairs.append((name, value))
    return pairs


def _refuse_second_value(extras: list[tuple[str, str]], options: Mapping[str, object]) -> None:
    """Raises a CommandError where an input has an option of its own and comes by both: which one is meant is not known."""
    for name in ("question", "band"):
        if options[name] is not None and name in dict(extras):
            raise CommandError(f"{name} is given twice: by --{name} and by --input {name}=…; give it once")


def is_file(flow: str) -> bool:
    """Returns whether a flow is given as a file."""
    return Path(flow).suffix in (".yaml", ".yml", ".json")


def set_flow(request: run_service_pb2.CreateRunRequest, flow: str, project: Path | None = None) -> None:
    """Sends a file inline, with what it uses of its project; takes anything else for the name of a flow that the server knows."""
    if not is_file(flow):
        request.flow = flow if flow.startswith("flows/") else f"flows/{flow}"
        return
    from conductor.cli.commands.flows import read_flow

    inline, library = read_flow(Path(flow), project)
    request.inline.CopyFrom(inline)
    request.library.CopyFrom(library)


def _question(given: str) -> str:
    if given != "-":
        return given
    try:
        data = sys.stdin.buffer.read(QUESTION_BYTES + 1)
    except OSError as error:
        raise CommandError(f"--question: stdin cannot be read: {error.strerror}") from error
    if len(data) > QUESTION_BYTES:
        raise CommandError(f"--question: stdin holds more than {QUESTION_BYTES} bytes")
    return _decoded(data)


def _decoded(data: bytes) -> str:
    """Returns the text of a question: UTF-8, else in the encoding of this locale, where that is another one."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if codecs.lookup(sys.stdin.encoding).name in {"utf-8", "ascii"}:
            line = "if it is in Latin-1:  iconv -f ISO-8859-1 -t UTF-8 FILE | conductor run … --question -"
            told = f"--question: stdin is not UTF-8: byte {error.start} is 0x{data[error.start]:02x}"
            raise CommandError(told, lines=(line,)) from None
        return data.decode(sys.stdin.encoding, "replace")
