"""The conductor's refusal of a run, in the words of the command line: options in place of fields, and a file in place of a name."""

import re
from pathlib import Path

from conductor.cli.text.failure import CommandError
from conductor.v1 import run_service_pb2

_FIELD = re.compile(
    r"\b(?:workspace\.(?:paths\[(?P<index>\d+)\]|paths|base_revision|revision|url)|inputs\.(?:question|band))(?=: )"
)
_OPTIONS = {
    "workspace.paths": "--paths",
    "workspace.base_revision": "--since",
    "workspace.revision": "--commit",
    "workspace.url": "URL",
    "inputs.question": "--question",
    "inputs.band": "--band",
}
_OPTIONS_OF_URL = {"workspace.revision": "--revision"}
_NO_QUESTION = re.compile(r"--question: must have 1 to \d+ characters that are not blank")
_FOLDERS = (Path(".conductor", "flows"), Path())


def in_options(error: CommandError, request: run_service_pb2.CreateRunRequest) -> CommandError:
    """Names the options where the conductor names fields of the request."""

    def named(found: re.Match[str]) -> str:
        index = found["index"]
        if index is None:
            return _OPTIONS_OF_URL.get(found[0], _OPTIONS[found[0]]) if request.workspace.url else _OPTIONS[found[0]]
        paths = request.workspace.paths
        return f"--paths {paths[int(index)]}" if int(index) < len(paths) else "--paths"

    def worded(told: str) -> str:
        text = _FIELD.sub(named, told)
        return (
            text if "question" in request.inputs else _NO_QUESTION.sub("this flow needs a question: --question", text)
        )

    return CommandError(worded(str(error)), lines=tuple(map(worded, error.lines)), code=error.code)


def with_file(error: CommandError, flow: str, workspace: str) -> CommandError:
    """Adds the command for a flow that is unknown by its name and lies here as a file."""
    name = flow.removeprefix("flows/")
    files = (folder / f"{name}{suffix}" for folder in _FOLDERS for suffix in (".yaml", ".yml"))
    found = next((file for file in files if "/" not in name and file.is_file()), None)
    if found is None:
        return error
    over = "." if workspace == str(Path.cwd()) else workspace
    return CommandError(
        str(error), lines=(f"it is here as a file:  conductor run {found} {over}", *error.lines), code=error.code
    )
