"""HTML: one file that needs nothing else, no script included."""

from collections.abc import Mapping
from html import escape
from typing import Any

from conductor.evaluation.reports.formats.cited_files import CitedFiles
from conductor.evaluation.reports.formats.options import Options


def render_html(values: Mapping[str, Any], _: CitedFiles, __: Options) -> str:
    """Returns the report as HTML."""
    return f"<!doctype html><title>{escape(values['title'])}</title><p>{escape(values['verdict'])}</p>\n"
