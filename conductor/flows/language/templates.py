"""Jinja2 in its sandbox: the language of prompts, folds and reports. Checks templates before a run, and renders with strict names.

It differs from a plain sandbox: members win over methods (`steps.items` is the step called `items`); nothing renders differently
the second time (no `random`, no `lipsum`, no printed functions with their addresses); there is no loader, so nothing is included;
names that begin with an underscore are refused when the flow is read, not only when it runs. Reports also have the filters of
`markdown`. Only worker processes and the CLI's `validate` call this, because a template may be costly (rule 5).
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from conductor.flows.language.markdown import FILTERS
from conductor.flows.language.output_schemas import closed_members
from conductor.flows.language.value_types import RESULT_FIELDS, RUN_FIELDS, SNAPSHOT_FIELDS
from servicekit.errors import closest, there_are

MAX_TEMPLATE_CHARACTERS = 256 * 1024
# Compiling takes fifty times as long as rendering, and a flow runs often. Only a few small templates are kept, so that memory does
# not depend on earlier renderings.
KEPT_TEMPLATES = 32
MAX_KEPT_CHARACTERS = 16 * 1024
MAX_TEMPLATE_NODES = 10_000
MAX_FLOW_NODES = 40_000
_IMPURE_FILTERS = ("random",)
_GLOBALS = ("range", "dict", "namespace", "joiner", "cycler")
_UNKNOWN = {
    "inputs": "there is no input '{}'",
    "steps": "step '{}' is not among what it needs",
    "snapshot": "the snapshot has no '{}'",
    "run": "a run has no '{}'",
}
_LOADING = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


@dataclass(slots=True)
class Budget:
    """How many names, values and tags the templates of one flow may still have. Judging a thousand takes a tenth of a second."""

    left: int = MAX_FLOW_NODES


class TemplateError(Exception):
    """The template cannot be rendered. `line` is the line inside it; 0 where it is not known."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(f"line {line}: {text}" if line else text)
        self.line = line
        self.text = text


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, with members before methods."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def environment() -> jinja2.Environment:
    """Returns the environment that compiles every text of an author."""
    made = _Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=False,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_final,
        optimized=False,
    )
    for name in _IMPURE_FILTERS:
        del made.filters[name]
    made.filters.update(FILTERS)
    made.globals = {name: made.globals[name] for name in _GLOBALS}
    return made


@jinja2.pass_context  # so that no constant is computed while compiling: `'x' * 10**9` would be
def _final(_: object, value: Any) -> Any:
    if callable(value) and not isinstance(value, jinja2.Undefined):
        raise jinja2.TemplateRuntimeError("a function is printed without being called")
    return value


def render(template: str, values: Mapping[str, Any]) -> str:
    """Returns the rendered text. Raises TemplateError with the template's line."""
    try:
        return _compiled(template).render(values)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(error.lineno, error.message or "it is not a template") from error
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        # A template may raise any of these: all mean that it does not fit its values.
        raise TemplateError(_line_of(error), str(error) or type(error).__name__) from error
    except (RecursionError, SyntaxError) as error:
        raise TemplateError(0, "it calls itself without end, or is nested too deep") from error


def _compiled(template: str) -> jinja2.Template:
    return _kept(template) if len(template) <= MAX_KEPT_CHARACTERS else environment().from_string(template)


@lru_cache(KEPT_TEMPLATES)
def _kept(template: str) -> jinja2.Template:
    # Each template has an environment of its own, so that none can affect another.
    return environment().from_string(template)


def _line_of(error: BaseException) -> int:
    """Returns the template's line that failed: jinja rewrites tracebacks to hold it."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def template_problems(
    template: str,
    *,
    inputs: Collection[str] | None,
    steps: Collection[str],
    outputs: Mapping[str, Mapping[str, Any]] | None = None,
    names: Collection[str] = (),
    budget: Budget | None = None,
) -> list[tuple[int, str]]:
    """Returns the problems of a template: syntax, unknown names, steps that it may not see. `inputs` None: any input is known.

    `outputs` has the schemas of what steps hand in, `budget` is that of the flow.
    """
    tree = _compilable(template, budget or Budget())
    if not isinstance(tree, nodes.Template):
        return [tree]
    found = [*_loading(tree), *_unfilled(tree, {"inputs", "band", "steps", "snapshot", "run", *names}), *_hidden(tree)]
    if inputs is not None:
        found.extend(_members(tree, "inputs", inputs))
    members = (
        *_members(tree, "steps", steps),
        *_members(tree, "snapshot", SNAPSHOT_FIELDS),
        *_members(tree, "run", RUN_FIELDS),
    )
    return sorted({*found, *members, *_results(tree), *_outputs(tree, outputs or {})})


def _compilable(template: str, budget: Budget) -> nodes.Template | tuple[int, str]:
    """Returns the tree of a template that compiles, or else its problem."""
    if len(template) > MAX_TEMPLATE_CHARACTERS:
        return 1, f"is longer than {MAX_TEMPLATE_CHARACTERS} characters"
    if budget.left <= 0:
        return (
            1,
            f"is not judged: the templates of this flow have more than {MAX_FLOW_NODES} names, values and tags in all",
        )
    try:
        return _compiled_tree(template, budget)
    except jinja2.TemplateSyntaxError as error:
        return error.lineno, f"{error.message or 'it is not a template'}{_close_filter(error.message or '')}"
    except (RecursionError, MemoryError, SyntaxError):  # of jinja; of Python, which compiles what jinja makes of it
        return 1, "is nested too deep"
    except ValueError as error:  # a number may be too large to write
        return 1, f"cannot be compiled: {error}"


def _close_filter(message: str) -> str:
    """Returns the filter that was meant, where a template names one that there is not."""
    unknown = re.match(r"No filter named '(.*)'", message)
    close = closest(unknown[1], list(environment().filters)) if unknown else ""
    return f" Did you mean '{close}'?" if close else ""


def _compiled_tree(template: str, budget: Budget) -> nodes.Template | tuple[int, str]:
    made = environment()
    tree = made.parse(template)
    count = sum(1 for _ in tree.find_all(nodes.Node))
    budget.left -= count
    if count > MAX_TEMPLATE_NODES:
        return 1, f"has {count} names, values and tags; the limit is {MAX_TEMPLATE_NODES}"
    made.compile(tree)
    return tree


def _loading(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    for node in tree.find_all(_LOADING):
        yield node.lineno, "other templates cannot be included here"


def _unfilled(tree: nodes.Template, known: Collection[str]) -> Iterator[tuple[int, str]]:
    missing = _undeclared(tree) - set(known) - set(_GLOBALS)
    for node in tree.find_all(nodes.Name):
        if node.name in missing and node.ctx == "load":
            yield node.lineno, f"there is no '{node.name}'; there are {', '.join(sorted(known))}"


def _undeclared(tree: nodes.Template) -> set[str]:
    """Returns the names that a template needs; as `meta.find_undeclared_variables`, which would compute constants."""
    assert tree.environment is not None  # noqa: S101 - it was parsed in one; this is for the type checker
    found = meta.TrackingCodeGenerator(tree.environment)
    found.optimizer = None
    found.visit(tree)
    return found.undeclared_identifiers


def _hidden(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    for node in _accesses(tree):
        name = _member(node)
        if name is not None and name.startswith("_"):
            yield node.lineno, f"'{name}' cannot be read: names that begin with an underscore are closed"


_Access = nodes.Getattr | nodes.Getitem


def _accesses(tree: nodes.Template) -> Iterator[_Access]:
    """Yields every place that reads a member."""
    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        if isinstance(node, (nodes.Getattr, nodes.Getitem)):
            yield node


def _members(tree: nodes.Template, variable: str, known: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yields unknown members of `inputs`, `steps` and `snapshot`. Methods of a mapping are known."""
    for node in _accesses(tree):
        if not isinstance(node.node, nodes.Name) or node.node.name != variable:
            continue
        name = _member(node)
        if name is not None and name not in known and not (isinstance(node, nodes.Getattr) and hasattr(dict, name)):
            yield node.lineno, f"{_UNKNOWN[variable].format(name)}{there_are(name, sorted(known))}"


def _results(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    """Yields unknown members of a step's result."""
    for node in _accesses(tree):
        inner = node.node
        if not isinstance(inner, (nodes.Getattr, nodes.Getitem)) or not isinstance(inner.node, nodes.Name):
            continue
        name = _member(node)
        if inner.node.name == "steps" and _member(inner) is not None and name is not None and name not in RESULT_FIELDS:
            yield node.lineno, f"a step has no '{name}'; it has {', '.join(RESULT_FIELDS)}"


def _outputs(tree: nodes.Template, schemas: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    """Yields members that the schema of a step's output does not know. Methods of a mapping are known."""
    for node in _accesses(tree):
        path = _path(node)
        if len(path) < 4 or path[0] != "steps" or path[2] != "output":
            continue
        members = closed_members(schemas.get(path[1], {}))
        for name in path[3:-1]:
            members = closed_members(members.get(name, {})) if members is not None else None
        if members is not None and path[-1] not in members and not hasattr(dict, path[-1]):
            where = ".".join(path[:-1])
            yield node.lineno, f"{where} has no '{path[-1]}'; it has {', '.join(members) or 'no members'}"


def _path(node: nodes.Expr) -> list[str]:
    """Returns the names of a path that is written out, as `steps`, `a`, `output`; an empty list for anything else."""
    names: list[str] = []
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        names.append(_member(node) or "")
        node = node.node
    return [node.name, *reversed(names)] if isinstance(node, nodes.Name) and all(names) else []


def _member(node: _Access) -> str | None:
    """Returns the member's name, where it is written out."""
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else None
