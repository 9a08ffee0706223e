"""HTML: one file that needs nothing else. It has no script, and its policy lets a browser load nothing and run nothing.

Everything from agents and repositories is escaped by the template, after what moves or hides text was written out. The style is
part of the page and named by its hash, so that a style that slipped in would not apply either.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from conductor.evaluation.reports.bands import LARGE, is_in_full
from conductor.evaluation.reports.formats.answers import answer_html, line_html, prose_html
from conductor.evaluation.reports.formats.cited_files import CitedFiles
from conductor.evaluation.reports.formats.excerpts import excerpt
from conductor.evaluation.reports.formats.options import Options
from conductor.evaluation.reports.formats.timeline import duration, timeline
from conductor.evaluation.reports.overview import finders, line_of, marks, overview
from conductor.evaluation.reports.unchecked import unchecked
from conductor.flows.language.markdown import visible

MAX_EXCERPTS = 5
MAX_ATTEMPTS = 200
_FOLDER = "conductor.evaluation.reports.formats"


def render_html(values: Mapping[str, Any], files: CitedFiles, _: Options) -> str:
    """Returns the report as HTML."""
    style = _read("report.css")
    first, findings, band = overview(values), values["findings"], values["band"]
    todo = {thing["id"] for thing in first["todo"]}
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _template().render(
        report=values,
        style=Markup(style),  # noqa: S704 - ours
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        first=first,
        findings=[_finding(finding, files, values) for finding in findings if is_in_full(finding, todo, band)],
        lines=[line_of(one) for one in findings if band == LARGE and not is_in_full(one, todo, band)],
        not_checked=unchecked(values),
        timeline=timeline(values),
        attempts=values["execution"]["attempts"][:MAX_ATTEMPTS],
    )


def _finding(finding: Mapping[str, Any], files: CitedFiles, values: Mapping[str, Any]) -> dict[str, Any]:
    evidence = finding["evidence"]
    return {
        **finding,
        "marks": marks(finding),
        "finders": finders(finding, values),
        "excerpts": [excerpt(item, files) for item in evidence[:MAX_EXCERPTS]],
        "counter": [excerpt(item, files) for item in finding.get("verdict_evidence", ())[:MAX_EXCERPTS]],
        "left_out": max(0, finding.get("count", 0), len(evidence)) - min(len(evidence), MAX_EXCERPTS),
    }


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_final
    )
    environment.filters |= {"answer": answer_html, "prose": prose_html, "line": line_html, "duration": duration}
    return environment.from_string(_read("report.html.jinja"))


def _final(value: Any) -> Any:
    """Writes out what moves or hides text, in everything that is not HTML of ours."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _read(name: str) -> str:
    return resources.files(_FOLDER).joinpath(name).read_text("utf-8")
