"""Validates flows, and finds every problem at once, with file, line and field.

It is pure, except that `problems_of` reads personas and contracts. It compiles texts of authors, so the service asks a worker
process to call it (see `conductor.evaluation.evaluator`); only the CLI calls it directly.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from conductor.errors import FlowProblem
from conductor.flows.checks.calls import judge_calls, list_calls
from conductor.flows.checks.judgement import Judgement, Library
from conductor.flows.checks.rules import judge
from conductor.flows.defaults import agents_in, with_defaults
from conductor.flows.language.counts import excesses
from conductor.flows.language.document import DocumentError, Node, read_document
from conductor.flows.language.marks import is_template
from conductor.flows.language.nesting import walk
from conductor.flows.language.problems import Problems
from conductor.flows.language.shape import Shape
from conductor.flows.library.layers import Folder, flow_files, folders, name_of, read_file
from conductor.flows.library.library import Sent, read_library, texts_for
from conductor.flows.library.revision import authored, revision_of
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow
INLINE_NAME = "flows/inline"


def judge_text(data: bytes, path: str, library: Library, *, is_final: bool = True) -> Judgement:
    """Judges the text of a flow file. Its default name is the file's. Where `library` is not final, names beside it are good."""
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
    return _judgement(flow, name_of(PurePath(path)), library if is_final else _named(flow, library), problems)


def judge_message(flow: Flow, path: str, library: Library) -> Judgement:
    """Judges a flow that came as a message, by the same rules; its line is 0."""
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
    calls = list_calls(good)
    lines = {name: node.line for name, node in problems.nodes.items() if name.startswith(calls)}
    if problems.found:
        return Judgement(None, problems.sorted(), good, lines)
    good.revision = revision_of(good)
    return Judgement(good, (), good, lines)


def parsed(data: bytes, path: str, project: Path | None = None) -> tuple[Flow | None, Sent, tuple[FlowProblem, ...]]:
    """Returns the flow in a file's text, what it uses of what is here, to be sent along, and its problems.

    A name that is unknown here is no problem: the conductor that gets the flow may know it.
    """
    places = folders(project, os.environ)
    library, texts = read_library(places)
    judgement = judge_text(data, path, library, is_final=False)
    if judgement.flow is None:
        return None, Sent(), judgement.problems
    calls = judge_calls(judgement.flow, _flows_of(places, library)).flows if list_calls(judgement.flow) else {}
    filled = [with_defaults(flow) for flow in (judgement.flow, *calls.values())]
    used = texts_for(filled[0], texts, filled[1:])
    if any(is_template(agent.persona) for flow in filled for agent in agents_in(flow.steps)):
        used = replace(used, personas=texts.personas)  # inputs may name any
    return (
        authored(judgement.flow),
        Sent(used, {name: authored(flow) for name, flow in calls.items()}),
        judgement.problems,
    )


def _flows_of(places: Sequence[Folder], library: Library) -> dict[str, Flow | None]:
    """Returns the flows of the folders by name; None for one that has problems."""
    found: dict[str, Flow | None] = {}
    for source in flow_files(places):
        try:
            judgement = judge_text(read_file(source.path), str(source.path), library)
        except OSError:
            continue
        found.setdefault(judgement.flow.name if judgement.flow else name_of(source.path), judgement.flow)
    return found


def _named(flow: Flow, known: Library) -> Library:
    """Returns a library with the names that the flow uses, but for those of files that cannot serve here."""
    agents = list(agents_in(with_defaults(flow).steps))
    unusable = {name for name, _ in known.unusable}
    personas = {agent.persona for agent in agents} - unusable
    contracts = {name for agent in agents for name in agent.contracts} - unusable
    named = {step.fold.merge.rules for _, step in walk(flow.steps) if step.HasField("fold")}
    unknown = named - unusable - {name for name, _, _ in known.tables}
    tables = known.tables | {(name, name, "") for name in unknown}
    return Library(known.personas | personas, known.contracts | contracts, known.unusable, tables)


def line_of(data: bytes, field: str) -> int:
    """Returns the line of a field in a flow file's text; of its nearest parent, where it is missing."""
    nodes: dict[str, Node] = {}
    problems = Problems("", nodes)
    try:
        root, _ = read_document(data)
    except DocumentError as error:
        return error.line
    Shape(problems, nodes).read(root, Flow.DESCRIPTOR)
    return problems.line_of(field)


def problems_of(data: bytes, path: str, project: Path | None) -> tuple[FlowProblem, ...]:
    """Returns every problem of a flow file's text. It may use personas, contracts and flows of `project`, of the user, and ours."""
    places = folders(project, os.environ)
    library, _ = read_library(places)
    judgement = judge_text(data, path, library)
    if judgement.draft is None or not list_calls(judgement.draft):
        return judgement.problems
    called = judge_calls(judgement.draft, _flows_of(places, library)).problems
    problems = (FlowProblem(path, judgement.line_of(where), where, text) for where, text in called)
    return tuple(sorted((*judgement.problems, *problems), key=lambda problem: problem.line))
