"""A report on a terminal shows all that it holds. Keeps K2."""

import io

import pytest
from rich.console import Console

from conductor.cli.views.markdown import show_markdown
from servicekit.printing.cells import cells


@pytest.mark.parametrize("columns", [40, 60, 80, 110])
def test_a_table_of_a_report_is_never_cut(columns: int) -> None:
    row = "| fails | 1 | scripted | - | alpha | 2.7 | - | - | failed (AGENT_EXIT_NONZERO) |"
    head = "| step | attempt | agent | model | host | seconds at work | tokens in | tokens out | outcome |"
    written = io.StringIO()
    show_markdown(f"{head}\n|---|---|---|---|---|---|---|---|---|\n{row}\n", Console(file=written, width=columns))
    shown = written.getvalue()

    assert {"fails", "scripted", "alpha", "(AGENT_EXIT_NONZERO)"} <= set(
        shown.replace(":", "").replace(",", "").split()
    )
    assert max(cells(line.rstrip()) for line in shown.splitlines()) <= columns


@pytest.mark.parametrize("columns", range(60, 111))
def test_a_word_of_a_table_is_whole_beside_a_long_cell(columns: int) -> None:
    rows = ["| structure | 1 | survey | small | alpha | 0.7 | 1200 | 310 | succeeded |"]
    rows += ["| entry points of the program | 1 | survey | small | alpha | 0.7 | 1200 | 310 | succeeded |"]
    head = "| step | attempt | agent | model | host | seconds at work | tokens in | tokens out | outcome |"
    written = io.StringIO()
    show_markdown("\n".join([head, "|---" * 9 + "|", *rows, ""]), Console(file=written, width=columns))

    assert written.getvalue().split().count("succeeded") == 2
    assert max(cells(line.rstrip()) for line in written.getvalue().splitlines()) <= columns


def test_quoted_lines_stand_close_and_an_address_once() -> None:
    written = io.StringIO()
    show_markdown(
        "See <https://example.org/a_b>.\n\n`a.py:1`\n\n```text\n  two\n\nthree\n```\n", Console(file=written, width=60)
    )

    assert [line.rstrip() for line in written.getvalue().splitlines()] == [
        *("See https://example.org/a_b.", "", "a.py:1", "", "    two", "", "  three"),
    ]
