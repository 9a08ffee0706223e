"""A step that asks an agent: building its prompt, checking what it found, and asking it to repair its answer."""

from collections.abc import Mapping
from typing import Any

from conductor.evaluation.evidence.citations import CitationCheck, cited_paths
from conductor.evaluation.evidence.extraction import extract_result
from conductor.evaluation.evidence.findings import Found, ResultError, count, read_result, tell_apart
from conductor.evaluation.evidence.repairs import write_complaint, write_prompt
from conductor.evaluation.pinned import failed, read_files, read_kept_bundle, read_names, read_pinned
from conductor.evaluation.reports.results import DEFAULT_RESULT_CHARACTERS, Result, left_out, limited
from conductor.evaluation.workers.frames import Frame, Task
from conductor.flows.defaults import MODEL
from conductor.flows.kinds.agent import MAX_PARAMETER_CHARACTERS
from conductor.flows.language.templates import TemplateError, is_template, render
from conductor.flows.library.bundle import Bundle, canonical_json

# Contracts: one asks for findings, the other for citations, which an answer may give as findings.
OUTPUT, EVIDENCE = "output", "evidence"
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
    """Tells which files a result cites; of one without findings, whether its answer should or may hold some."""
    result, bundle = frame.attachments
    step = frame.header["step"]
    try:
        found = read_result(result, step) if result else None
    except ResultError as error:
        return Frame({**failed("OUTPUT_INVALID", str(error)).header, "errors": error.errors})
    if found is None:
        contracts = read_kept_bundle(bundle).step(step).agent.contracts
        return Frame({"has_findings": False, "wants_findings": OUTPUT in contracts or EVIDENCE in contracts})
    return Frame({"has_findings": True, "paths": cited_paths(found.findings)})


def extract(frame: Frame) -> Frame:
    """Finds the findings in an answer that should or may hold some; returns what is told of one that holds none."""
    answer, bundle = frame.attachments
    pinned, step = read_kept_bundle(bundle), frame.header["step"]
    agent = pinned.step(step).agent
    texts = pinned.texts
    examples = (
        agent.prompt,
        texts.personas.get(agent.persona, ""),
        *(texts.contracts[name] for name in agent.contracts),
    )
    found = extract_result(answer.decode(errors="replace"), step, examples)
    if OUTPUT not in agent.contracts and not found.is_meant:
        return Frame({"is_found": False, "counts": {}}, (b"",))  # prose, which is a good answer here
    if not found.complaint:
        return Frame({"is_found": True}, (found.result,))
    note = f"its answer should end in findings, and none can be read in it: {found.complaint}"
    if OUTPUT not in agent.contracts:
        note = f"its answer holds findings that cannot be read: {found.complaint}"
    document = Found((), 0, (note,), unread=True).as_json()
    return Frame({"is_found": False, "counts": {"unread": 1}}, (canonical_json(document),))


def check(frame: Frame) -> Frame:
    """Checks a result's citations in the files that it cites."""
    found = read_result(frame.attachments[0], frame.header["step"])
    if found is None:
        return Frame({"counts": {}}, (b"",))
    examiner = CitationCheck(read_files(frame))
    checked = examiner.identify(tell_apart(examiner.judge(finding) for finding in found.findings))
    left_out = found.left_out + len(found.findings) - len(checked)
    document = Found(checked, left_out, found.notes).as_json()
    return Frame({"counts": count(checked)}, (canonical_json(document),))


def repair(frame: Frame) -> Frame:
    """Builds the request to repair an answer: the prompt of a new attempt, and the input of an agent that waits."""
    prompt, answer, result = (part.decode(errors="replace") for part in frame.attachments)
    complaint = write_complaint(frame.header["errors"])
    told = write_prompt(prompt, answer, result, complaint).encode(errors="replace")
    # Without room for the former answer none can be asked for.
    return Frame({}, (told, complaint.encode(errors="replace")) if len(told) <= MAX_PROMPT_BYTES else ())


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
    try:
        asked = render(agent.prompt, {**(names or {}), "inputs": inputs, "band": inputs["band"], "steps": seen})
    except TemplateError as error:
        raise PromptError(f"the prompt of step {step} cannot be rendered: {error}") from error
    persona = bundle.texts.personas.get(agent.persona, "")
    contracts = [bundle.texts.contracts[name] for name in dict.fromkeys(agent.contracts)]
    parts = [persona, asked, *left_out(results, seen), *contracts]
    prompt = "\n\n".join(text for part in parts if (text := part.strip("\n"))) + "\n"
    size = len(prompt.encode(errors="replace"))
    if size > MAX_PROMPT_BYTES:
        raise PromptError(f"the prompt of step {step} has {size} bytes; the limit is {MAX_PROMPT_BYTES}")
    return prompt


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
