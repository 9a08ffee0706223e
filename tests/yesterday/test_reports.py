"""K7: each report that f9ac01c stored is told in every form of today."""

from pathlib import Path

import pytest

from conductor.evaluation.reports.formats.cited_files import CitedFiles
from conductor.evaluation.reports.formats.options import read_options
from conductor.evaluation.reports.formats.table import FORMATS, render_report
from tests.yesterday.archive import recall

HERE = Path(__file__).parent / "f9ac01c"


@pytest.mark.parametrize("form", FORMATS)
def test_a_report_of_then_is_rendered_in_each_form_of_today(form: str) -> None:
    reports = [told["report"]["json"] for told in recall(HERE / "conductor.json.xz")["read"].values()]
    bodies = [render_report(form, report, CitedFiles({}), read_options({})).decode() for report in reports]

    assert {report["outcome"] for report in reports} >= {"succeeded", "failed"}
    assert all(report["flow"].removeprefix("flows/") in body for report, body in zip(reports, bodies, strict=True))
