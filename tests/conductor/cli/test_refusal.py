"""A refused run in the words of the command line. Keeps K2."""

from pathlib import Path

import pytest

from conductor.cli.commands.launching.refusal import in_options, with_file
from conductor.cli.text.failure import CommandError
from conductor.v1.run_service_pb2 import CreateRunRequest, Workspace

BLANK = "inputs.question: must have 1 to 64000 characters that are not blank (QUESTION_REQUIRED)"
UNKNOWN = CommandError("there is no flow 'house'", lines=("see them:  conductor flows",))


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("workspace.base_revision: names no commit of this repository: mian", "--since: names no commit of this repository: mian"),
        ("workspace.paths[1]: must be relative to the workspace", "--paths /etc: must be relative to the workspace"),
        ("workspace.paths: are 51; at most 50 are taken", "--paths: are 51; at most 50 are taken"),
        (BLANK, "this flow needs a question: --question (QUESTION_REQUIRED)"),
        ("flow.yaml:3: inputs.questions is no input", "flow.yaml:3: inputs.questions is no input"),
    ],
)  # fmt: skip
def test_options_are_named_in_place_of_fields_of_the_request(told: str, shown: str) -> None:
    request = CreateRunRequest(workspace=Workspace(paths=["src", "/etc"]))
    error = in_options(CommandError("refused", lines=(told,), code=69), request)

    assert (error.lines, error.code) == ((shown,), 69)
    assert str(in_options(CommandError(told), request)) == shown


def test_a_blank_question_that_was_given_is_not_called_missing() -> None:
    request = CreateRunRequest()
    request.inputs["question"] = " "

    assert str(in_options(CommandError(BLANK), request)) == BLANK.replace("inputs.question", "--question")


@pytest.mark.parametrize("file", [".conductor/flows/house.yaml", "house.yaml", "house.yml"])
def test_an_unknown_flow_that_is_a_file_here_is_run_as_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert with_file(UNKNOWN, "house", str(tmp_path)) is UNKNOWN
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("title: House\n")

    assert with_file(UNKNOWN, "flows/house", str(Path.cwd())).lines == (
        f"it is here as a file:  conductor run {file} .",
        *UNKNOWN.lines,
    )
    assert with_file(UNKNOWN, "house", "/elsewhere").lines[0].endswith(f"{file} /elsewhere")
