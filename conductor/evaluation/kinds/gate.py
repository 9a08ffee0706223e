"""A step that asks a person: rendering what the person reads. Nothing of it may be cut, for the decision is about the whole."""

from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined

from conductor.evaluation.pinned import failed, read_names, read_pinned
from conductor.evaluation.reports.results import Result, read_results, whole
from conductor.evaluation.workers.frames import Frame, Task
from conductor.flows.language.templates import TemplateError, render

MAX_SHOW_BYTES = 256 * 1024


def show(frame: Frame) -> Frame:
    """Renders what a gate shows; refuses a text that would have to be cut."""
    bundle, inputs, results = read_pinned(frame)
    step = bundle.step(frame.header["step"])
    seen = whole(results)
    _close_cut_texts(seen, results)
    try:
        text = render(step.gate.show, {**read_names(frame), "inputs": inputs, "band": inputs["band"], "steps": seen})
    except TemplateError as error:
        return failed("SHOW_FAILED", f"'show' of gate {step.id} cannot be rendered: {error}")
    data = text.encode(errors="replace") or b"\n"  # a decision is about a text, also about one that says nothing
    if len(data) > MAX_SHOW_BYTES:
        message = f"'show' of gate {step.id} has {len(data)} bytes, and a person must see all of it. Show at most {MAX_SHOW_BYTES}"
        return failed("SHOW_FAILED", message)
    return Frame({}, (data,))


def _close_cut_texts(seen: dict[str, dict[str, Any]], results: Mapping[str, Result]) -> None:
    """Makes a template fail where it uses a text that was cut."""
    for name, result in results.items():
        if result.text_bytes > len(result.text.encode(errors="replace")):
            hint = f"the text of step {name} has {result.text_bytes} bytes, too many to be shown whole"
            seen[name]["text"] = StrictUndefined(hint=hint)
        for item, given in zip(seen[name]["items"], result.items, strict=True):
            _close_cut_texts(item["steps"], read_results(given["steps"]))


TASKS: Mapping[str, Task] = {"show": show}
