"""A step that asks an agent: building its prompt, checking what it found, and asking it to repair its answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from conductor.evaluation.answers.extraction import extract_result
from conductor.evaluation.answers.guards import (
    judge_places,
    missing_evidence,
    places_in,
    unreadable,
    with_proven,
    without_placeholders,
)
from conductor.evaluation.answers.repairs import write_complaint, write_form, write_prompt
from conductor.evaluation.answers.results import ResultError, read_result
from conductor.evaluation.answers.typed_answers import Form, extract_typed, is_other_result, judge_json
from conductor.evaluation.evidence.changed_places import ChangedPlaces
from conductor.evaluation.evidence.citations import CitationCheck, cited_paths
from conductor.evaluation.evidence.findings import Finding, Found, count, read_document, tell_apart
from conductor.evaluation.pinned import failed, read_files, read_kept_bundle, read_names, read_pinned, read_snapshot
from conductor.evaluation.reports.results import DEFAULT_RESULT_CHARACTERS, Result, left_out, limited
from conductor.evaluation.workers.frames import Frame, Task
from conductor.flows.checks.output_rules import output_schema
from conductor.flows.defaults import MODEL
from conductor.flows.kinds.agent import MAX_PARAMETER_CHARACTERS
from conductor.flows.language.marks import is_template
from conductor.flows.language.templates import TemplateError, render
from conductor.flows.library.bundle import Bundle, canonical_json
from conductor.flows.library.library import OUTPUT, contracts_of
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow

EVIDENCE = "evidence"  # a contract that asks for citations, which an answer may give as findings
SCENARIO = "#scripted"  # what follows is what the scripted agent is to answer, and no example
MAX_PROMPT_BYTES = 1024 * 1024


class PromptError(Exception):
    """The prompt cannot be built. The text says why, and where in the template."""


def prompt(frame: Frame) -> Frame:
    """Builds a prompt."""
    bundle, inputs, results = read_pinned(frame)
    try:
        names = read_names(frame)
        text = build_prompt(bundle, frame.header["step"], inputs, results, names)
        parameters = build_parameters(bundle, frame.header["step"], inputs, results, names)
    except PromptError as error:
        return failed("PROMPT_BUILD_FAILED", str(error))
    return Frame({"parameters": parameters}, (text.encode(errors="replace"),))


def cite(frame: Frame) -> Frame:
    """Tells which files a result cites; of an answer without a result, whether it should or may hold one."""
    result, bundle = frame.attachments
    step = read_kept_bundle(bundle).step(frame.header["step"])
    form = _form(step)
    if form is not None and is_other_result(result, form):
        return Frame({"wants_answer": True})
    if result and form is not None and (wrong := judge_json(result, form)):
        return _invalid(wrong)
    found = None
    try:
        found = read_result(result, frame.header["step"]) if result else None
    except ResultError as error:
        if form is None:  # a result of the declared form may call something else findings
            return _invalid(error.errors, str(error))
    may_hold = not result if form is not None else bool({OUTPUT, EVIDENCE} & set(contracts_of(step.agent)))
    if found is None and may_hold:
        return Frame({"wants_answer": True})
    places = places_in(json.loads(result)) if form is not None else []
    cited = [place for finding in found.findings for place in finding.evidence] if found is not None else []
    is_cited = found is not None or bool(places)
    return Frame({"is_cited": is_cited, "is_typed": form is not None, "paths": cited_paths((*cited, *places))})


def extract(frame: Frame) -> Frame:
    """Finds the result in an answer that should or may hold one; returns what is told of an answer that holds none."""
    answer, bundle = frame.attachments
    pinned = read_kept_bundle(bundle)
    step = pinned.step(frame.header["step"])
    agent, texts = step.agent, pinned.texts
    contracts = contracts_of(agent)
    examples = (
        agent.prompt.partition(SCENARIO)[0],
        *(texts.personas.values() if is_template(agent.persona) else (texts.personas.get(agent.persona, ""),)),
        *(texts.contracts[name] for name in contracts),
    )
    if (form := _form(step)) is not None:
        typed = extract_typed(answer.decode(errors="replace"), form, examples)
        return _invalid(typed.errors) if typed.errors else Frame({"is_found": True}, (typed.value,))
    found = extract_result(answer.decode(errors="replace"), frame.header["step"], examples)
    if agent.output.findings and found.complaint:
        return _invalid((found.complaint,))
    if OUTPUT not in contracts and not found.is_meant:
        return Frame({"is_found": False, "counts": {}}, (b"",))  # prose, which is a good answer here
    if not found.complaint:
        return Frame({"is_found": True}, (found.result,))
    note = f"its answer should end in findings, and none can be read in it: {found.complaint}"
    if OUTPUT not in contracts:
        note = f"its answer holds findings that cannot be read: {found.complaint}"
    document = Found((), 0, (note,), unread=True).as_json()
    return Frame({"is_found": False, "counts": {"unread": 1}}, (canonical_json(document),))


def check(frame: Frame) -> Frame:
    """Checks a result's citations in the files that it cites; returns the checked findings, and the typed output.

    `errors` tells what an agent that has declared its output should look at once more.
    """
    result, bundle = frame.attachments[:2]
    step = read_kept_bundle(bundle).step(frame.header["step"])
    examiner = CitationCheck(read_files(frame))
    typed, errors = _check_places(result, examiner) if _form(step) is not None else (b"", [])
    try:
        found = read_result(result, frame.header["step"])
    except ResultError:
        found = None
    if found is None:
        return Frame({"counts": {}, "errors": errors}, (b"", typed))
    spec = step.agent.output
    found = without_placeholders(found) if spec.findings else found
    models = (frame.header["model"],) if frame.header.get("model") else ()
    is_tool = frame.header.get("names_places", False)
    given = map(_without_tool, found.findings) if frame.header.get("asks_model") else found.findings
    judged = (replace(examiner.judge(finding, is_tool=is_tool), models=models) for finding in given)
    checked = examiner.identify(tell_apart(judged))
    if spec.findings and (former := frame.header.get("former")):
        checked, found = with_proven(checked, found, read_document(former))
    if spec.findings and len(checked) < spec.min_items:
        return _invalid((_too_few(len(checked), spec.min_items), *found.notes))
    scope = ChangedPlaces(read_snapshot(frame))
    checked = tuple(scope.mark(finding) for finding in checked)
    # What a model says of its own coverage proves nothing.
    coverage = tuple({**one, "agent": frame.header.get("agent", "")} for one in found.coverage if is_tool)
    told = replace(found, findings=checked, coverage=coverage, unjudged=scope.count_unjudged(found))
    document = canonical_json(told.as_json())
    if spec.findings:
        typed, errors = document, [*missing_evidence(checked), *unreadable(found)]
    return Frame({"counts": count(checked), "errors": errors}, (document, typed))


def _without_tool(finding: Finding) -> Finding:
    """Returns a model's finding: what its text poses as a tool's is none, neither the rule nor the link that explains it."""
    return replace(finding, rule="" if ":" in finding.rule else finding.rule, help="")


def _check_places(result: bytes, examiner: CitationCheck) -> tuple[bytes, list[str]]:
    """Returns a typed value whose places have their `status`, and a sentence for each that was not found."""
    value = json.loads(result)
    told = judge_places(value, examiner.judge_place)
    return json.dumps(value).encode(), told


def repair(frame: Frame) -> Frame:
    """Builds the request to repair an answer: the prompt of a new attempt, and the input of an agent that waits."""
    prompt, answer, result = (part.decode(errors="replace") for part in frame.attachments)
    complaint = write_complaint(frame.header["errors"], is_usable=frame.header["is_usable"])
    told = write_prompt(prompt, answer, result, complaint).encode(errors="replace")
    # Without room for the former answer none can be asked for.
    return Frame({}, (told, complaint.encode(errors="replace")) if len(told) <= MAX_PROMPT_BYTES else ())


def _form(step: Flow.Step) -> Form | None:
    """Returns the form of a step whose output has a schema; None for any other, findings included."""
    if not step.agent.output.HasField("schema"):
        return None
    return Form(output_schema(step), step.agent.output.min_items)


def _invalid(errors: Sequence[str], message: str = "") -> Frame:
    """Returns the answer about a result that does not have its form."""
    return Frame({**failed("OUTPUT_INVALID", message or "; ".join(errors)).header, "errors": list(errors)})


def build_prompt(
    bundle: Bundle,
    step: str,
    inputs: Mapping[str, Any],
    results: Mapping[str, Result],
    names: Mapping[str, Any] | None = None,
) -> str:
    """Returns the prompt: the persona, what the author asks, and each contract once. Raises PromptError.

    `names` are those of the item or round that the step belongs to.
    """
    agent = bundle.step(step).agent
    seen = limited(results, agent.max_result_characters or DEFAULT_RESULT_CHARACTERS)
    values = {**(names or {}), "inputs": inputs, "band": inputs["band"], "steps": seen}
    try:
        asked = render(agent.prompt, values)
    except TemplateError as error:
        raise PromptError(f"the prompt of step {step} cannot be rendered: {error}") from error
    persona = _find_persona(bundle, step, values)
    contracts = [bundle.texts.contracts[name] for name in contracts_of(agent)]
    form = _form(bundle.step(step))
    parts = [persona, asked, *left_out(results, seen), *contracts, write_form(form) if form is not None else ""]
    prompt = "\n\n".join(text for part in parts if (text := part.strip("\n"))) + "\n"
    size = len(prompt.encode(errors="replace"))
    if size > MAX_PROMPT_BYTES:
        raise PromptError(f"the prompt of step {step} has {size} bytes; the limit is {MAX_PROMPT_BYTES}")
    return prompt


def _find_persona(bundle: Bundle, step: str, values: Mapping[str, Any]) -> str:
    """Returns the text of the step's persona. Its name may be a template; an empty name is none."""
    name, personas = bundle.step(step).agent.persona, bundle.texts.personas
    if not is_template(name):
        return personas.get(name, "")
    try:
        name = render(name, values).strip()
    except TemplateError as error:
        raise PromptError(f"the persona of step {step} cannot be rendered: {error}") from error
    if name and name not in personas:
        there = ", ".join(sorted(personas)) or "none"
        raise PromptError(
            f"the persona '{name[:100]}' of step {step} is not pinned with this run; there are {there}."
            " One that a template names must stand by its name in the flow, in one that calls it, or in the run's inputs"
        )
    return personas.get(name, "")


def build_parameters(
    bundle: Bundle,
    step: str,
    inputs: Mapping[str, Any],
    results: Mapping[str, Result],
    names: Mapping[str, Any] | None = None,
) -> list[tuple[str, str]]:
    """Returns all parameters with the model where one of them is a template; else none. Raises PromptError."""
    agent = bundle.step(step).agent
    given = {**({MODEL: agent.model} if agent.model else {}), **agent.parameters}
    if not any(is_template(value) for value in given.values()):
        return []
    seen = limited(results, MAX_PARAMETER_CHARACTERS)
    values = {**(names or {}), "inputs": inputs, "band": inputs["band"], "steps": seen}
    return [(name, _rendered(step, name, given[name], values)) for name in sorted(given)]


def _rendered(step: str, name: str, template: str, values: Mapping[str, Any]) -> str:
    where = f"the parameter {name} of step {step}"
    try:
        text = render(template, values) if is_template(template) else template
    except TemplateError as error:
        raise PromptError(f"{where} cannot be rendered: {error}") from error
    if len(text) > MAX_PARAMETER_CHARACTERS:
        raise PromptError(f"{where} has {len(text)} characters; the limit is {MAX_PARAMETER_CHARACTERS}")
    if "\0" in text:
        raise PromptError(f"{where} holds NUL: no argument, variable or file of an agent can")
    return text


TASKS: Mapping[str, Task] = {"prompt": prompt, "cite": cite, "extract": extract, "check": check, "repair": repair}


def _too_few(number: int, least: int) -> str:
    has = "1 finding" if number == 1 else f"{number} findings"
    return f"it has {has}, and at least {least} {'is' if least == 1 else 'are'} asked for"
