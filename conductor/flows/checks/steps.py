"""Rules for steps, and for the steps inside them: ids, needs, names, guards, expressions and templates.

A step sees what it needs, directly or through others, by its ids. A step inside another one also sees what that one needs, and the
names of its item or round. So an id inside must differ from those around it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conductor.core.model.step_path import MAX_PATH_CHARACTERS, child_path, is_step_name
from conductor.flows.checks.graph import ancestors, find_cycle
from conductor.flows.checks.judgement import Library
from conductor.flows.checks.output_rules import output_schema
from conductor.flows.kinds import panel
from conductor.flows.kinds.kind import Expression
from conductor.flows.kinds.table import HOLDERS, KINDS
from conductor.flows.language.expressions import ExpressionTypes
from conductor.flows.language.nesting import inner_steps
from conductor.flows.language.problems import Problems
from conductor.flows.language.schemas import is_open
from conductor.flows.language.templates import Budget, template_problems
from conductor.flows.language.value_types import input_types
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow
Step = Flow.Step

MAX_LABEL_CHARACTERS = 200
MAX_NESTING = 4
MAX_PRIORITY = 100
# The largest index that a path may have to hold.
_LAST_INDEX = 999


@dataclass(frozen=True, slots=True)
class Scope:
    """The place of some steps: the field they are in, what they may name, and the ids around them."""

    schema: Mapping[str, Any]
    library: Library
    problems: Problems
    where: str = "steps"
    outer: frozenset[str] = frozenset()
    around: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # what is known of them, as schemas
    path: str = ""
    depth: int = 1
    budget: Budget = field(default_factory=Budget)

    def types(self, seen: Collection[str], names: Mapping[str, str] | None = None) -> ExpressionTypes:
        """Returns the types of an expression that sees these steps."""
        return ExpressionTypes(self.schema, sorted(seen), self.names if names is None else names, self.outputs)

    def beside(self, steps: Sequence[Step]) -> "Scope":
        """Returns the scope with what is known of the outputs of these steps."""
        return replace(self, outputs={**self.outputs, **{step.id: output_schema(step) for step in steps}})


def judge_steps(steps: Sequence[Step], scope: Scope) -> None:
    """Adds the problems of the steps at one place, and of those inside them."""
    _judge_ids(steps, scope)
    scope = scope.beside(steps)
    seen = {step: scope.outer | needs for step, needs in ancestors(steps).items()}
    guards = ExpressionTypes(scope.schema, None)
    for index, step in enumerate(steps):
        where = f"{scope.where}[{index}]"
        for line, text in guards.problems(step.exclude_when) if step.exclude_when else ():
            scope.problems.add(f"{where}.exclude_when", text, line_in_text=line)
        if step.skip_when:
            for line, text in scope.types(seen[step.id]).problems(step.skip_when):
                scope.problems.add(f"{where}.skip_when", text, line_in_text=line)
        _judge_work(step, where, scope)
        _judge_templates(step, where, seen[step.id], scope)
        if (kind := step.WhichOneof("work")) in HOLDERS:
            around = scope.around.union(one.id for one in steps)
            _judge_holder(step, f"{where}.{kind}", seen[step.id], replace(scope, around=around))
        elif kind is not None:
            for expression in KINDS[kind].expressions(step):
                _judge_expression(expression, f"{where}.{kind}", scope.types(seen[step.id]), scope)


def _judge_ids(steps: Sequence[Step], scope: Scope) -> None:
    first: dict[str, int] = {}
    for index, step in enumerate(steps):
        where = f"{scope.where}[{index}].id"
        if not is_step_name(step.id):
            text = f"'{step.id}' must be a-z, 0-9 and _, begin with a letter, and have at most 40 characters"
            scope.problems.add(where, text)
        elif first.setdefault(step.id, index) != index:
            scope.problems.add(where, f"'{step.id}' is the id of {scope.where}[{first[step.id]}] already")
        elif step.id in scope.around:
            scope.problems.add(where, f"'{step.id}' is the id of a step around it already")
        elif len(path := _path(scope, step)) > MAX_PATH_CHARACTERS:
            text = f"'{path}' would be an id of {len(path)} characters; the limit is {MAX_PATH_CHARACTERS}"
            scope.problems.add(where, text)
    _judge_needs(steps, first, scope)
    if cycle := find_cycle(steps):
        circle = " -> ".join((*cycle, cycle[0]))
        index = first.get(cycle[0], 0)
        scope.problems.add(f"{scope.where}[{index}].needs", f"steps need one another in a circle: {circle}")


def _judge_needs(steps: Sequence[Step], known: Collection[str], scope: Scope) -> None:
    for index, step in enumerate(steps):
        for position, need in enumerate(step.needs):
            where = f"{scope.where}[{index}].needs[{position}]"
            if need in step.needs[:position]:
                scope.problems.add(where, f"'{need}' stands here twice")
            elif need in scope.around:
                text = f"'{need}' is outside: a step inside another one needs steps beside it only, and sees what that one needs"
                scope.problems.add(where, text)
            elif need not in known:
                scope.problems.add(where, f"there is no step '{need}'; there are {', '.join(known)}")


def _judge_work(step: Step, where: str, scope: Scope) -> None:
    scope.problems.add_if_longer(f"{where}.label", step.label, MAX_LABEL_CHARACTERS)
    if not -MAX_PRIORITY <= step.priority <= MAX_PRIORITY:
        scope.problems.add(f"{where}.priority", f"must be -{MAX_PRIORITY} to {MAX_PRIORITY}, not {step.priority}")
    if step.on_failure not in Flow.OnFailure.values():
        scope.problems.add(f"{where}.on_failure", "must be ON_FAILURE_FAIL, ON_FAILURE_CONTINUE or ON_FAILURE_GATE")
    kind = step.WhichOneof("work")
    if kind is None:
        scope.problems.add(where, f"a step does something: give it {' or '.join(map(repr, KINDS))}")
    else:
        KINDS[kind].judge(step, f"{where}.{kind}", scope.library, scope.problems)


def _judge_templates(step: Step, where: str, seen: Collection[str], scope: Scope) -> None:
    inputs = None if is_open(scope.schema) else input_types(scope.schema)
    names = {**scope.names, **(panel.NAMES if step.HasField("panel") else {})}
    for name, template in _templates(step, where):
        for line, text in template_problems(
            template, inputs=inputs, steps=seen, outputs=scope.outputs, names=names, budget=scope.budget
        ):
            scope.problems.add(name, text, line_in_text=line)


def _templates(step: Step, where: str) -> Iterator[tuple[str, str]]:
    kind = step.WhichOneof("work")
    for name, template in KINDS[kind].templates(step) if kind else ():
        yield f"{where}.{kind}.{name}", template


def _judge_holder(step: Step, where: str, seen: frozenset[str], scope: Scope) -> None:
    holder, inner = HOLDERS[step.WhichOneof("work") or ""], inner_steps(step)
    names = {**scope.names, **holder.names(step)}
    own = frozenset(one.id for one in inner)
    for expression in holder.expressions(step):
        visible = seen | own if expression.sees_inner else seen
        types = scope.beside(inner).types(visible, names) if expression.sees_inner else scope.types(visible)
        _judge_expression(expression, where, types, scope)
    if not inner:
        scope.problems.add(f"{where}.steps", "must hold at least one step")
    elif scope.depth >= MAX_NESTING:
        scope.problems.add(f"{where}.steps", f"are nested too deep: steps in steps have at most {MAX_NESTING} levels")
    else:
        path, depth = _path(scope, step), scope.depth + 1
        judge_steps(inner, replace(scope, where=f"{where}.steps", outer=seen, names=names, path=path, depth=depth))


def _judge_expression(expression: Expression, where: str, types: ExpressionTypes, scope: Scope) -> None:
    for line, text in types.problems(expression.text, expression.wanted):
        scope.problems.add(f"{where}.{expression.field}", text, line_in_text=line)


def _path(scope: Scope, step: Step) -> str:
    return child_path(scope.path, _LAST_INDEX, step.id) if scope.path else step.id
