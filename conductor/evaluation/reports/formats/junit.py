"""JUnit XML, as CI viewers read it: a test for each step, and one for each finding.

A step that failed is an error, one that did not run is skipped. A finding that is grave enough is a failure. One that is not, that
was not proven where that is asked for, or that is dismissed, is skipped with the reason: a viewer counts it and stays green.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from conductor.evaluation.reports.formats.cited_files import CitedFiles
from conductor.evaluation.reports.formats.options import Options, is_counted
from conductor.evaluation.reports.overview import marks, place, primary, scope, things_to_do
from conductor.evaluation.reports.unchecked import unchecked
from conductor.flows.language.markdown import visible

_NEVER_RAN = {"excluded", "skipped", "cancelled"}


def render_junit(values: Mapping[str, Any], _: CitedFiles, options: Options) -> str:
    """Returns the report as JUnit XML."""
    name = values["flow"].removeprefix("flows/")
    steps = [_step(step, name, _seconds(values, step["id"])) for step in values["steps"]]
    findings = [_finding(finding, name, options) for finding in values["findings"]]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites{_attributes({'name': values['title'], **_counts([*steps, *findings])})}>",
        *_suite(f"{name}: steps", steps, values, _remarks(values)),
        *_suite(f"{name}: findings", findings, values, ()),
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def _suite(name: str, cases: list[str], values: Mapping[str, Any], told: Sequence[str]) -> list[str]:
    attributes = {"name": name, **_counts(cases), "timestamp": values["execution"]["create_time"].removesuffix("Z")}
    out = [f"  <system-out>{_text(chr(10).join(told))}</system-out>"] if told else []
    return [f" <testsuite{_attributes(attributes)}>", *cases, *out, " </testsuite>"]


def _remarks(values: Mapping[str, Any]) -> list[str]:
    first = things_to_do(values)
    todo = ["What to do first:", *first] if first else []
    return [scope(values), values["verdict"], *todo, *(f"{item.label}{item.text}" for item in unchecked(values))]


def _counts(cases: list[str]) -> dict[str, str]:
    kinds = {"tests": "<testcase", "failures": "<failure", "errors": "<error", "skipped": "<skipped"}
    return {name: str(sum(mark in case for case in cases)) for name, mark in kinds.items()}


def _step(step: Mapping[str, Any], flow: str, seconds: float) -> str:
    inner = ""
    if step["failure"]:
        failure = step["failure"]
        inner = _element("error", failure["reason"], failure["message"], failure["message"])
    elif step["state"] in _NEVER_RAN:
        inner = f"<skipped{_attributes({'message': step['reason'] or step['state']})}/>"
    return _case(step["label"], f"{flow}.steps", inner, time=f"{seconds:.1f}")


def _finding(finding: Mapping[str, Any], flow: str, options: Options) -> str:
    where = primary(finding)
    named = f"{finding['title']} ({place(where)})" if where else finding["title"]
    told = [finding["claim"], *([f"What to do: {finding['remedy']}"] if finding.get("remedy") else [])]
    if finding.get("help"):
        told.append(f"About this rule: {finding['help']}")
    if finding.get("cause") and len(finding["evidence"]) > 1:
        told.append("\n".join(map(place, finding["evidence"])))
    elif where:
        told.append(f"{place(where)}\n{where['quote']}")
    if is_counted(finding, options):
        message = ", ".join([finding["title"], *marks(finding)])
        inner = _element("failure", finding["severity"], message, "\n\n".join(told))
    else:
        why = ", ".join(marks(finding)) or f"{finding['severity']} is below {options.min_severity}"
        inner = f"<skipped{_attributes({'message': why})}/>"
    return _case(named, f"{flow}.{finding['category']}", inner, file=where["path"] if where else "")


def _case(name: str, classname: str, inner: str, **more: str) -> str:
    shown = {"name": name, "classname": classname, **{key: value for key, value in more.items() if value}}
    return f"  <testcase{_attributes(shown)}>{inner}</testcase>"


def _element(tag: str, kind: str, message: str, text: str) -> str:
    return f"<{tag}{_attributes({'type': kind, 'message': message})}>{_text(text)}</{tag}>"


def _attributes(values: Mapping[str, str]) -> str:
    return "".join(f' {name}="{escape(visible(" ".join(value.split())))}"' for name, value in values.items())


def _text(text: str) -> str:
    """Returns text for XML 1.0, which has no control characters: they are written out."""
    return escape(visible(text.replace("\r\n", "\n").replace("\r", "\n")), quote=False)


def _seconds(values: Mapping[str, Any], step: str) -> float:
    return sum(one["seconds"] or 0.0 for one in values["execution"]["attempts"] if one["step"] == step)
