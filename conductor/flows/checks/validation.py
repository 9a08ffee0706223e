"""Whether a flow is good, and what is wrong with it if not: every problem at once, with file, line and field.

Pure apart from reading personas and contracts where a caller asks by project. It compiles what authors wrote: the service
asks a worker process to call it (see `conductor.evaluation.evaluator`), only the CLI calls it directly.
"""

from pathlib import Path, PurePath

from conductor.errors import FlowProblem
from conductor.flows.checks.judgement import Judgement, Library
from conductor.flows.checks.problems import Problems
from conductor.flows.checks.rules import judge
from conductor.flows.language.counts import excesses
from conductor.flows.language.document import DocumentError, Node, read_document
from conductor.flows.language.shape import Shape
from conductor.flows.library.library import library_of
from conductor.flows.library.revision import authored, revision_of
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow
INLINE_NAME = "flows/inline"


def judge_text(data: bytes, path: str, library: Library | None) -> Judgement:
    """Judges the text of a flow file. Its name, where it gives none, is the file's. Without a library it may name anything."""
    nodes: dict[str, Node] = {}
    problems = Problems(path, nodes)
    try:
        root, duplicates = read_document(data)
    except DocumentError as error:
        return Judgement(None, (FlowProblem(path, error.line, "", error.text),))
    flow = Shape(problems, nodes).read(root, Flow.DESCRIPTOR)
    if problems.is_excessive:
        return Judgement(None, problems.sorted())
    problems.spoil()
    for line, key in duplicates:
        problems.add_at(line, key, "stands here twice; the first one counts")
    assert isinstance(flow, Flow)  # noqa: S101 - the descriptor says so; this is for the type checker
    return _judgement(flow, f"flows/{PurePath(path).stem}", _named(flow) if library is None else library, problems)


def judge_message(flow: Flow, path: str, library: Library) -> Judgement:
    """Judges a flow that came as a message: the same rules, line 0."""
    problems = Problems(path)
    for where, text in excesses(flow):
        problems.add_excess(where, text)
    return (
        Judgement(None, problems.sorted())
        if problems.is_excessive
        else _judgement(flow, INLINE_NAME, library, problems)
    )


def _judgement(flow: Flow, default_name: str, library: Library, problems: Problems) -> Judgement:
    good = authored(flow)
    good.name = good.name or default_name
    judge(good, library, problems)
    if problems.found:
        return Judgement(None, problems.sorted())
    good.revision = revision_of(good)
    return Judgement(good, ())


def _named(flow: Flow) -> Library:
    """The library that has what the flow names."""
    agents = [step.agent for step in flow.steps]
    personas = frozenset(agent.persona for agent in agents)
    return Library(personas, frozenset(name for agent in agents for name in agent.contracts))


def parsed(data: bytes, path: str) -> tuple[Flow | None, tuple[FlowProblem, ...]]:
    """The flow in a file's text, without its revision, for sending it inline; and its problems.

    What it names is looked up by the conductor that gets it: that one's project counts, and may be another than is known here.
    """
    judgement = judge_text(data, path, None)
    return (authored(judgement.flow) if judgement.flow else None), judgement.problems


def line_of(data: bytes, field: str) -> int:
    """The line of a field in a flow file's text; of what holds it, where it is not there; 1 where nothing of it is."""
    nodes: dict[str, Node] = {}
    problems = Problems("", nodes)
    try:
        root, _ = read_document(data)
    except DocumentError as error:
        return error.line
    Shape(problems, nodes).read(root, Flow.DESCRIPTOR)
    return problems.line_of(field)


def problems_of(data: bytes, path: str, project: Path | None) -> tuple[FlowProblem, ...]:
    """Every problem of a flow file's text. `project` is whose personas and contracts it may name, beside the user's and ours."""
    return judge_text(data, path, library_of(project)).problems
