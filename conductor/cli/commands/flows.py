"""`conductor flows` and `conductor validate`: what can be run, and what is wrong with a flow file."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conductor.cli.connection import CALL_SECONDS, connected
from conductor.cli.main import Context
from conductor.cli.text.failure import RUN_FAILED, CommandError
from conductor.cli.text.following import completed
from conductor.cli.text.problem_lines import excerpt
from conductor.cli.text.wording import counted
from conductor.cli.views.view import as_json
from conductor.v1 import flow_service_pb2
from servicekit.printing.cells import cells
from servicekit.printing.output_lost import verdict
from servicekit.printing.page import put, put_json, say
from servicekit.printing.terminal_text import column, one_line, printable

if TYPE_CHECKING:
    from conductor.errors import FlowProblem

FLOW_BYTES = 1024 * 1024
# A problem of a flow that came as a message: the conductor knows no file, and no line of it.
_IN_MESSAGE = re.compile(r"\bflow:0: (?P<field>[\w.\[\]]*)")


@click.command()
@click.argument("words", metavar="[NAME | new NAME]", nargs=-1)
@click.pass_obj
def flows(context: Context, words: tuple[str, ...]) -> None:
    """List flows, or show the one called NAME. `new NAME` writes a commented flow to begin with; it needs no server."""
    match words:
        case ("new", name):
            from conductor.cli.commands.starter import new_flow

            new_flow(name)
        case () | (_,):
            _show_flows(context, *words)
        case _:
            raise click.UsageError("give the name of one flow, or `new` and a name for a flow to write")


def _show_flows(context: Context, name: str | None = None) -> None:
    with connected(context.address) as connection:
        if name is not None:
            full = name if name.startswith("flows/") else f"flows/{name}"
            asked = flow_service_pb2.GetFlowRequest(name=full)
            flow = connection.flows.GetFlow(asked, timeout=CALL_SECONDS)
            if context.is_json:
                put(as_json(flow))
            else:
                say(_shown(flow), 2)
            return
        answer = connection.flows.ListFlows(flow_service_pb2.ListFlowsRequest(page_size=500), timeout=CALL_SECONDS)
        longest = max((cells(flow.name.removeprefix("flows/")) for flow in answer.flows), default=0)
        for flow in answer.flows:
            put(as_json(flow)) if context.is_json else say(_line(flow, longest))
        for title, first, advice in bad_files(answer.problems):
            say(f"\n✘ {title}\n    {first}\n    {advice}", 6, err=True)


def bad_files(problems: Sequence[flow_service_pb2.FlowProblem]) -> Iterator[tuple[str, str, str]]:
    """Yields for each file that is no flow a title, its first problem, and the command that shows them all."""
    by_file: dict[str, list[flow_service_pb2.FlowProblem]] = {}
    for problem in problems:
        by_file.setdefault(problem.path, []).append(problem)
    for path, found in by_file.items():
        first, count = found[0], counted(len(found), "problem")
        text = f"{first.field}: {first.text}" if first.field else first.text
        title = f"{path} cannot be run: {count}, the first on line {first.line}"
        yield printable(title), printable(text), printable(f"see all:  conductor validate {path}")


def _line(flow: flow_service_pb2.Flow, width: int) -> str:
    layer = flow_service_pb2.Flow.Layer.Name(flow.layer).removeprefix("LAYER_").lower().replace("_", "-")
    hidden = f"  (hides {len(flow.shadows)} of the same name)" if flow.shadows else ""
    return f"{column(flow.name.removeprefix('flows/'), width)}  {layer:<9}  {one_line(flow.title, 80)}{hidden}"


def _shown(flow: flow_service_pb2.Flow) -> str:
    lines = [
        f"{flow.name.removeprefix('flows/')}: {one_line(flow.title, 100)}",
        f"  {one_line(flow.description, 400)}",
        f"  source    {printable(flow.source_path)}",
        *(f"  hides     {printable(path)}" for path in flow.shadows),
        f"  revision  {flow.revision[:16]}",
        f"  question  {'required' if flow.question_required else 'optional'}",
        "",
    ]
    for step in flow.steps:
        needs = f"  after {', '.join(step.needs)}" if step.needs else ""
        lines.append(f"  {column(step.id, 20)} {step.WhichOneof('work') or '?'}{needs}")
    name = flow.name.removeprefix("flows/")
    question = ' --question "…"' if flow.question_required else ""
    return "\n".join([*lines, "", completed(f"run it:  conductor run {name} PATH{question}")])


@click.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Whose personas and contracts they may name.  [default: of the .conductor/ beside each file]",
)
@click.pass_obj
def validate(context: Context, files: tuple[Path, ...], project: Path | None) -> int:
    """Check flow FILES and print each problem as FILE:LINE: problem. Needs no server."""
    judged = {path: _problems(path, project or project_of(path)) for path in files}
    code = RUN_FAILED if any(judged.values()) else 0
    with verdict(code):
        if context.is_json:
            for path, problems in judged.items():
                put_json({"file": str(path), "good": not problems, "problems": [_facts(each) for each in problems]})
        else:
            _say_judged(judged, project)
    return code


def _facts(problem: "FlowProblem | CommandError") -> dict[str, object]:
    if isinstance(problem, CommandError):
        return {"line": 0, "field": "", "text": str(problem)}
    return {"line": problem.line, "field": problem.field, "text": problem.text}


def _say_judged(judged: "Mapping[Path, Sequence[FlowProblem | CommandError]]", project: Path | None) -> None:
    files, found = list(judged), [str(problem) for problems in judged.values() for problem in problems]
    for told in found:
        say(told)
    if not found:
        say(f"{'this flow is' if len(files) == 1 else 'these flows are'} good", err=True)
    used = sorted({str(place.absolute()) for path in files if (place := project or project_of(path))})
    # Elsewhere the same file may name less: the conductor has a project of its own, or none.
    said = f"personas and contracts are looked up in {', '.join(used)}" if used else ""
    if said or any(": there is no persona " in told or ": there is no contract " in told for told in found):
        say(said or "a project with more personas and contracts:  conductor validate --project DIR FILE", err=True)


def _problems(path: Path, project: Path | None) -> "Sequence[FlowProblem | CommandError]":
    """Returns what is wrong with a file. A file that cannot be read is one problem, and does not stop the check of the next."""
    from conductor.flows.checks.validation import problems_of

    try:
        data = read_bytes(path)
    except CommandError as error:
        return [error]
    return problems_of(data, str(path), project)


def project_of(path: Path) -> Path | None:
    """Returns the project whose personas and contracts a file may name: its `.conductor/` holds the file, or stands beside it."""
    folder = path.absolute().parent
    if folder.name == "flows" and folder.parent.name == ".conductor":
        return folder.parent.parent
    return folder if (folder / ".conductor").is_dir() else None


def read_bytes(path: Path) -> bytes:
    """Returns the file's bytes, at most FLOW_BYTES; raises a CommandError where that fails."""
    try:
        with path.open("rb") as file:
            data = file.read(FLOW_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from error
    if len(data) > FLOW_BYTES:
        raise CommandError(f"{path}: a flow file holds at most {FLOW_BYTES} bytes")
    return data


def read_flow(path: Path, project: Path | None = None) -> tuple[flow_service_pb2.Flow, flow_service_pb2.Library]:
    """Returns the flow in a file and its personas and contracts, to be sent inline; raises a CommandError with its problems."""
    data = read_bytes(path)
    from conductor.flows.checks.validation import parsed

    flow, sent, problems = parsed(data, str(path), project or project_of(path))
    if flow is None or problems:
        shown = excerpt(
            (printable(str(problem)) for problem in problems), f"conductor validate {shlex.quote(str(path))}"
        )
        raise CommandError(f"{path} is no flow that can be run", lines=tuple(shown))
    # A text that begins with a line of dashes is not taken for front matter below an empty line.
    personas = {name: f"\n{text}" for name, text in sent.texts.personas.items()}
    return flow, flow_service_pb2.Library(
        personas=personas, contracts=sent.texts.contracts, flows=sent.flows, rules=sent.texts.rules
    )


def refused(error: CommandError, path: Path) -> CommandError:
    """Adds the file, its lines and its project to the conductor's refusal of a flow that was sent inline."""
    from conductor.flows.checks.validation import line_of

    data, project = read_bytes(path), project_of(path)

    def located(told: str) -> str:
        placed = _IN_MESSAGE.sub(lambda found: f"{path}:{line_of(data, found['field'])}: {found['field']}", told)
        return placed.replace("--project DIR", f"--project {project}") if project else placed

    return CommandError(located(str(error)), lines=tuple(map(located, error.lines)), code=error.code)
