"""Every form of a report that is rendered from its JSON, by name."""

from collections.abc import Callable, Mapping
from typing import Any

from conductor.evaluation.reports.formats.cited_files import CitedFiles
from conductor.evaluation.reports.formats.html import render_html
from conductor.evaluation.reports.formats.junit import render_junit
from conductor.evaluation.reports.formats.options import Options, with_dismissals
from conductor.evaluation.reports.formats.sarif import render_sarif
from conductor.evaluation.reports.shortening import leave_out

# Below the default limit of gRPC clients, 4 MiB.
MAX_BODY_BYTES = 3 * 1024 * 1024

FORMATS: Mapping[str, Callable[[Mapping[str, Any], CitedFiles, Options], str]] = {
    "html": render_html,
    "sarif": render_sarif,
    "junit": render_junit,
}


class TooLargeError(Exception):
    """The report does not fit, even without findings."""


def render_report(form: str, values: Mapping[str, Any], files: CitedFiles, options: Options) -> bytes:
    """Returns the report in this form. One that would be too large loses its last findings, and says so."""
    told = with_dismissals(values, options)
    kept = len(told["findings"])
    while True:
        body = FORMATS[form](leave_out(told, kept), files, options).encode(errors="replace")
        if len(body) <= MAX_BODY_BYTES:
            return body
        if not kept:
            raise TooLargeError(f"the report has {len(body)} bytes without findings; the limit is {MAX_BODY_BYTES}")
        kept = min(kept // 2, int(kept * MAX_BODY_BYTES / len(body)))
