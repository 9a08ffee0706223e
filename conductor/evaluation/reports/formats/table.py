"""Every form of a report that is rendered from its JSON, by name."""

from collections.abc import Callable, Mapping
from typing import Any

from conductor.evaluation.reports.formats.cited_files import CitedFiles
from conductor.evaluation.reports.formats.html import render_html
from conductor.evaluation.reports.formats.junit import render_junit
from conductor.evaluation.reports.formats.options import Options, with_dismissals
from conductor.evaluation.reports.formats.sarif import render_sarif
from conductor.evaluation.reports.former import completed
from conductor.evaluation.reports.overview import overview
from conductor.evaluation.reports.report import built_in_markdown
from conductor.evaluation.reports.shortening import leave_out
from conductor.flows.library.bundle import canonical_json

# Below the default limit of gRPC clients, 4 MiB.
MAX_BODY_BYTES = 3 * 1024 * 1024


def _json(values: Mapping[str, Any], _: CitedFiles, __: Options) -> str:
    return canonical_json({**values, "overview": overview(values)}).decode()


def _markdown(values: Mapping[str, Any], _: CitedFiles, __: Options) -> str:
    return built_in_markdown({**values, "overview": overview(values)})


FORMATS: Mapping[str, Callable[[Mapping[str, Any], CitedFiles, Options], str]] = {
    "html": render_html,
    "sarif": render_sarif,
    "junit": render_junit,
    # Both are stored; they are rendered again to mark what the client has dismissed.
    "json": _json,
    "md": _markdown,
}


class TooLargeError(Exception):
    """The report does not fit, even without findings."""


def render_report(form: str, values: Mapping[str, Any], files: CitedFiles, options: Options) -> bytes:
    """Returns the report in this form. One that would be too large loses its last findings, and says so."""
    told = with_dismissals(completed(values), options)
    kept = len(told["findings"])
    while True:
        body = FORMATS[form](leave_out(told, kept), files, options).encode(errors="replace")
        if len(body) <= MAX_BODY_BYTES:
            return body
        if not kept:
            raise TooLargeError(f"the report has {len(body)} bytes without findings; the limit is {MAX_BODY_BYTES}")
        kept = min(kept // 2, int(kept * MAX_BODY_BYTES / len(body)))
