"""The report that a terminal shows at the end of a run holds what its verdict refers to. Keeps K2."""

from importlib import resources

import pytest

from conductor.cli.text.brief_report import NOT_CHECKED, SHOWN_NOTES, brief

READ = "\n## What was read\n"
FOUND = f"# Survey\n\n**No findings: see what was not checked.**\n\n```\n{NOT_CHECKED}\n```\n"
HOW = "\n## What ran\n\n| step | outcome |\n"
NOTES = [f"- docs: note {number}" for number in range(SHOWN_NOTES + 2)]


@pytest.mark.parametrize(
    ("whole", "shown"),
    [
        (f"{FOUND}{NOT_CHECKED}\n- docs: 3\n{HOW}{READ}\n- Snapshot\n", f"{FOUND}\n{NOT_CHECKED}\n- docs: 3\n"),
        (f"{FOUND}{NOT_CHECKED}\n- docs: 3\n{READ}\n- Snapshot\n", f"{FOUND}\n{NOT_CHECKED}\n- docs: 3\n"),
        ("# Own template\n", "# Own template\n"),
    ],
    ids=["something ran", "nothing ran", "another form"],
)
def test_a_brief_report_ends_before_what_ran_and_keeps_what_was_not_checked(whole: str, shown: str) -> None:
    assert brief(whole) == shown


def test_of_many_notes_the_first_are_shown_and_the_others_counted() -> None:
    told = brief("\n".join([FOUND, NOT_CHECKED, *NOTES, HOW, READ]))

    assert told.splitlines()[-2:] == [NOTES[SHOWN_NOTES - 1], "- … and 2 more"]


def test_the_built_in_report_has_the_headings_that_a_brief_one_is_made_by() -> None:
    template = resources.files("conductor.evaluation.reports").joinpath("report.md.jinja").read_text("utf-8")

    assert template.count(NOT_CHECKED) == 1
