"""A folded finding in SARIF, HTML and JUnit. Keeps F6."""

import json
from typing import Any

import jsonschema

from conductor.evaluation.reports.formats.options import Options
from tests.conductor.evaluation.sarif_shape import SHAPE
from tests.conductor.evaluation.test_report_forms import golden_values, rendered


def folded(places: int, count: int) -> dict[str, Any]:
    """A report with one finding that a table of rules folded."""
    values = golden_values()
    place = {"quote": "uses: a@v1", "status": "placed", "end_line": 2}
    values["findings"] = [
        {
            **values["findings"][0],
            "severity": "medium",
            "status": "placed",
            "title": f"{count} actions are not pinned",
            "claim": "A tag can move.\n\nzizmor says: unpinned.",
            "remedy": "Pin it.",
            "rule": "zizmor:Unpinned/uses",
            "help": "https://docs.zizmor.sh/audits/#unpinned-uses",
            "calibrated": True,
            "cause": "zizmor:Unpinned/uses",
            "count": count,
            "evidence": [{**place, "path": f"w{number}.yml", "start_line": 2} for number in range(places)],
        }
    ]
    return values


def test_sarif_shows_each_place_of_a_folded_finding_under_one_rule_with_its_link() -> None:
    sources = {f"w{number}__yml": "on: push\nuses: a@v1\n" for number in range(12)}
    run = json.loads(rendered("sarif", folded(12, 112), **sources))["runs"][0]
    (rule,) = run["tool"]["driver"]["rules"]

    jsonschema.Draft202012Validator(SHAPE).validate(
        json.loads(rendered("sarif", folded(12, 112), **sources)),
    )
    assert (rule["id"], rule["helpUri"]) == ("zizmor/Unpinned-uses", "https://docs.zizmor.sh/audits/#unpinned-uses")
    assert (rule["shortDescription"]["text"], rule["help"]["text"]) == ("A tag can move.", "Pin it.")
    assert [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in run["results"]] == [
        f"w{number}.yml" for number in range(12)
    ]
    assert all("relatedLocations" not in one for one in run["results"])
    assert {one["level"] for one in run["results"]} == {"warning"}
    assert "This is one of 112 places." in run["results"][0]["message"]["text"]
    assert len({one["partialFingerprints"]["primaryLocationLineHash"] for one in run["results"]}) == 1
    assert (
        len(
            json.loads(rendered("sarif", folded(12, 112), Options(verified_only=True), **sources))["runs"][0]["results"]
        )
        == 12
    )


def test_the_other_forms_show_some_places_of_a_folded_finding_and_count_all() -> None:
    values = folded(12, 112)
    page, junit = rendered("html", values), rendered("junit", values)

    assert "and 107 more places" in page
    assert (
        '<a href="https://docs.zizmor.sh/audits/#unpinned-uses" rel="noopener noreferrer">About this rule</a>' in page
    )
    assert "About this rule: https://docs.zizmor.sh/audits/#unpinned-uses" in junit
    assert "w0.yml:2\nw1.yml:2\n" in junit
    values["findings"][0]["help"] = "javascript:alert(1)"
    assert "javascript" not in rendered("html", values)
