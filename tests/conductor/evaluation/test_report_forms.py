"""The report as HTML, SARIF and JUnit: golden files over one run, and what a hostile agent can do to them. Keeps F6 K8.

`golden/` holds whole reports. After an intended change: delete one, run this test twice, and read the difference.
"""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.dom import minidom

import jsonschema
import pytest

from conductor.errors import PreconditionError
from conductor.evaluation.reports.formats import sarif, table
from conductor.evaluation.reports.formats.cited_files import CitedFiles, cited_paths
from conductor.evaluation.reports.formats.line_hash import line_hashes
from conductor.evaluation.reports.formats.options import Options
from conductor.evaluation.reports.formats.table import MAX_BODY_BYTES, render_report
from conductor.evaluation.reports.formats.timeline import duration, timeline
from servicekit.release import release_number
from tests.conductor.evaluation.golden_reports import GOLDEN, same_as_golden
from tests.conductor.evaluation.sarif_shape import SHAPE
from tests.conductor.evaluation.story import Story
from tests.conductor.evaluation.test_report import tell_everything

ATTACK = (
    "</style><script>alert(1)</script><img src=x onerror=alert(2)> \u202egnp.exe `</code><b>` [x](javascript:alert(3)) "
    "![i](http://x/y) <!-- \x1b[2J \x00 \ufffe ]]> {{ 7 * 7 }} \"'>"
)
ALLOWED = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "header",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "p",
        "div",
    ),
    *("section", "ol", "ul", "li", "strong", "span", "code", "a", "article", "figure", "figcaption", "table", "thead"),
    *(
        "tbody",
        "tr",
        "td",
        "th",
        "pre",
        "details",
        "summary",
        "svg",
        "rect",
        "line",
        "footer",
        "em",
        "blockquote",
        "br",
    ),
}


class Page(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def golden_values() -> dict[str, Any]:
    values: dict[str, Any] = json.loads((GOLDEN / "everything.json").read_text())
    return values


def rendered(form: str, values: dict[str, Any], options: Options | None = None, **files: str) -> str:
    read: dict[str, Any] = dict.fromkeys(cited_paths(values))
    read |= {name.replace("__", "."): text.encode() for name, text in files.items()}
    return render_report(form, values, CitedFiles(read), options or Options()).decode()


def attacked() -> dict[str, Any]:
    """A report whose every text is an attack."""

    def poisoned(value: Any, key: str = "") -> Any:
        match value:
            case dict():
                return {name: poisoned(part, name) for name, part in value.items()}
            case list():
                return [poisoned(part, key) for part in value]
            case str() if key in {
                "title",
                "claim",
                "category",
                "quote",
                "path",
                "label",
                "message",
                "reason",
                "verdict",
                "text",
            }:
                return ATTACK
            case str() if key in {
                "agent",
                "host",
                "model",
                "question",
                "remedy",
                "mechanism",
                "checks",
                "notes",
                "found_by",
            }:
                return ATTACK
            case _:
                return value

    values: dict[str, Any] = poisoned(golden_values())
    values["workspace"]["path"] = f"/{ATTACK}"
    said = {
        "step": "again",
        "label": ATTACK,
        "kind": "agent",
        "text": f"# {ATTACK}\n\n- {ATTACK}\n\n|a|b|\n|:-:|-|\n|{ATTACK}|\n",
    }
    for finding in values["findings"]:
        finding |= {"remedy": ATTACK, "dismissed": ATTACK, "rule": ATTACK}
    return {
        **values,
        "texts": [{**said, "places": [{"path": ATTACK, "start_line": 1, "exists": False, "reason": ATTACK}]}],
    }


@pytest.mark.processes
async def test_each_form_of_one_run_is_as_it_should_be(story: Story, workspace: Path) -> None:
    await tell_everything(story, workspace)
    run = await story.stored_report()
    for form, name in (("html", "everything.html"), ("sarif", "everything.sarif"), ("junit", "everything.junit.xml")):
        body = (await story.evaluator.render(run, form, {})).decode()
        same_as_golden(name, body.replace(f'"version": "{release_number()}"', '"version": "0"'), workspace)


@pytest.mark.processes
async def test_a_form_that_does_not_fit_is_refused_with_a_way_on(
    story: Story, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell_everything(story, workspace)
    run = await story.stored_report()
    monkeypatch.setattr(table, "MAX_BODY_BYTES", 1000)

    with pytest.raises(PreconditionError, match="cannot be rendered as html") as told:
        await story.evaluator.render(run, "html", {})
    assert told.value.reason == "EVALUATION_LIMIT"
    assert told.value.hint.endswith("--format md")


def test_html_loads_nothing_and_runs_nothing_whatever_agents_write() -> None:
    text = rendered("html", attacked(), a__py="one\n" + ATTACK + "\n")
    page = Page(text)
    policy = next(
        values["content"] for tag, values in page.tags if values.get("http-equiv") == "Content-Security-Policy"
    )

    assert {tag for tag, _ in page.tags} <= ALLOWED
    assert not [
        name
        for _, values in page.tags
        for name in values
        if name.startswith("on") or name in {"src", "style", "action"}
    ]
    assert {values["href"][:2] for tag, values in page.tags if tag == "a" and values["href"]} <= {"#f"}
    assert policy is not None
    assert re.fullmatch(r"default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'; form-action 'none'", policy)
    assert text.count("</style>") == 1
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ufffe]", text)
    assert "49" not in text.partition("{{ 7 * 7 }}")[2][:9]


def test_html_shows_quoted_lines_among_their_neighbours_and_cuts_what_is_huge() -> None:
    lines = [f"line {number}" for number in range(1, 30)]
    lines[9] = "x" * 100_000
    values = golden_values()
    place = {
        **values["findings"][1]["evidence"][0],
        "start_line": 10,
        "end_line": 11,
        "quote": f"{lines[9]}\n{lines[10]}",
    }
    values["findings"][1]["evidence"] = [place]
    text = rendered("html", values, a__py="\n".join(lines))

    assert "<tr><td>7</td><td>line 7</td></tr>" in text
    assert '<tr class="quoted"><td>11</td><td>line 11</td></tr>' in text
    assert "<tr><td>14</td><td>line 14</td></tr>" in text
    assert "<td>15</td>" not in text
    assert " … 99700 more characters</td>" in text


def test_html_tells_what_the_snapshot_is_and_what_it_was_compared_with() -> None:
    """Found by a newcomer: only Markdown told it."""
    values = golden_values()
    commit = values["snapshot"]["commit"]
    changed = [{"path": "b.py", "old_path": "a.py"}]
    base = {"scope": "diff", "base_commit": "ba5e", "base_revision": "main", "changed": changed, "changed_count": 1}
    values["snapshot"] |= {**base, "head_commit": commit}
    values["band_reason"] = "small: 1 file"
    text = rendered("html", values, a__py="")
    del values["snapshot"]["scope"]

    assert f"a clean checkout of commit <code>{commit}</code></li>" in text
    told = "commit <code>ba5e</code>, where the branch left <code>main</code>: <code>b.py</code> (before: <code>a.py</code>)"
    assert f"<li>Compared with {told}</li>" in text
    assert "<li>Band small: 1 file</li>" in text
    assert "Compared with" not in rendered("html", values, a__py="")  # a report of a former version


@pytest.mark.parametrize("make", [golden_values, attacked])
def test_sarif_has_the_shape_that_readers_rely_on(make: Any) -> None:
    """The official schema, and a validator with GitHub's rules, accept these files; neither can be part of this repository."""
    document = json.loads(rendered("sarif", make(), a__py="one\ntwo\nthree\nfour\n", notes__md="x\n"))

    jsonschema.Draft202012Validator(SHAPE).validate(document)
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\u202e\ufffe]", json.dumps(document, ensure_ascii=False).replace("\\n", "")
    )
    assert "](" not in json.dumps(document)


@pytest.mark.parametrize(
    ("source", "quote", "lines", "region"),
    [
        ("one\ntwo\n", "two", (2, 2), (2, 1, 2, 4)),
        ("one\r\ntwo\r\nthree", "two\nthree", (2, 3), (2, 1, 3, 6)),
        ("one\rtwo\rthree", "two", (2, 2), (2, 1, 2, 4)),
        ("x = '\U0001f600', f(é)\n", "f(é)", (1, 1), (1, 11, 1, 15)),
        ("\tindented = 1\n", "indented = 1", (1, 1), (1, 2, 1, 14)),
        ("a\n\n\nfound here\n", "found here", (2, 4), (4, 1, 4, 11)),
        ("\ufefffirst\n", "first", (1, 1), (1, 1, 1, 6)),
        ("abc\n", "not there", (1, 1), (1, 0, 1, 0)),
        ("abc\n", "not there", (7, 9), (1, 0, 1, 0)),
    ],
)
def test_a_region_is_right_in_every_encoding_of_lines(
    source: str, quote: str, lines: tuple[int, int], region: tuple[int, ...]
) -> None:
    place = {"path": "a.py", "start_line": lines[0], "end_line": lines[1], "quote": quote, "status": "verified"}
    if "not" in quote:
        place["status"] = "missing"
    found = CitedFiles({"a.py": source.encode()}).region(place)

    assert found is not None
    assert (found.start_line, found.start_column, found.end_line, found.end_column) == region


@pytest.mark.parametrize(
    ("text", "hashes"),
    [
        ("", {1: "c129715d7a2bc9a3:1"}),
        (
            "def f():\r\n\treturn '\U0001f600é'\r\n\r\ndef f():\r\n",
            {1: "accd5df95f0711bb:1", 2: "c2c7e2231ccf2081:1", 4: "a7348e331f3b611d:1", 5: "c129715d7a2bc9a3:1"},
        ),
        ("x = 1\n" * 120, {1: "ca3e9a077b09da0c:1", 2: "ca3e9a077b09da0c:2", 120: "8e00d41f0ebba6bf:1"}),
    ],
)
def test_github_s_hash_of_a_line_is_github_s(text: str, hashes: dict[int, str]) -> None:
    """These are the numbers of the published action."""
    assert line_hashes(text.encode(), hashes) == hashes


def test_sarif_says_what_it_lacks_and_leaves_dismissed_findings_out_unless_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = golden_values()
    values["findings"] = values["findings"][:5]
    known = values["findings"][1]["fingerprint"]
    options = Options(dismissed={known: "accepted"})
    source = {"a__py": "one\ntwo\nthree\nfour\n", "notes__md": "x\n" * 9}

    def results(options: Options) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(rendered("sarif", values, options, **source))["runs"][0]["results"]
        return found

    whole, without = results(Options()), results(options)
    (kept,) = [one for one in results(Options({known: "accepted"}, include_dismissed=True)) if "suppressions" in one]
    assert len(whole) == len(without) + 1
    assert kept["suppressions"] == [{"kind": "external", "status": "accepted", "justification": "accepted"}]
    assert {one["properties"]["status"] for one in results(Options(verified_only=True))} == {"verified"}
    values["findings"][1] |= {"former_fingerprint": known, "fingerprint": "of its new name", "outside_scope": True}
    assert results(options) == without

    monkeypatch.setattr(sarif, "MAX_RESULTS", 2)
    document = json.loads(rendered("sarif", values, **{**source, "notes__md": ""}))
    (invocation,) = document["runs"][0]["invocations"]
    told = [one["message"]["text"] for one in invocation["toolExecutionNotifications"]]
    assert [one["level"] for one in document["runs"][0]["results"]] == ["error", "warning"]
    assert told[0] == "1 finding names no file of the snapshot and is not in this file; the report has it."
    assert told[1] == "2 findings, the least severe, were cut: a run may have 2 results."


def test_a_path_is_encoded_as_a_uri_below_the_root() -> None:
    values = golden_values()
    values["findings"] = values["findings"][1:2]
    values["findings"][0]["evidence"][0]["path"] = "src/ä b:c#1%.py"
    run = json.loads(rendered("sarif", values, **{"src/ä b:c#1%__py": "one\ntwo\nthree\n"}))["runs"][0]
    place = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]

    assert place == {"uri": "src/%C3%A4%20b%3Ac%231%25.py", "uriBaseId": "SRCROOT"}
    assert run["originalUriBaseIds"] == {"SRCROOT": {"uri": "file:///src/project/"}}


@pytest.mark.parametrize("make", [golden_values, attacked])
def test_junit_is_xml_whatever_agents_write(make: Any) -> None:
    document = minidom.parseString(rendered("junit", make()))  # noqa: S318 - ours
    root = document.documentElement
    assert root is not None
    cases = document.getElementsByTagName("testcase")

    assert (
        int(root.getAttribute("tests"))
        == len(cases)
        == sum(len(golden_values()[name]) for name in ("steps", "findings"))
    )
    for name in ("failure", "error", "skipped"):
        key = {"failure": "failures", "error": "errors"}.get(name, name)
        assert int(root.getAttribute(key)) == len(document.getElementsByTagName(name))


def test_junit_fails_for_what_is_grave_enough_and_skips_the_rest() -> None:
    values = golden_values()

    def failures(options: Options) -> int:
        return rendered("junit", values, options).count("<failure")

    assert failures(Options()) == 5
    assert failures(Options(min_severity="high")) == 2
    assert failures(Options(verified_only=True)) == 3
    assert failures(Options(dismissed={values["findings"][0]["fingerprint"]: "known"})) == 4


@pytest.mark.parametrize("form", ["html", "sarif", "junit"])
def test_a_report_that_would_be_too_large_loses_its_last_findings_and_says_so(form: str) -> None:
    values = golden_values()
    long = {**values["findings"][1], "claim": "<&> " * 1000}
    values["findings"] = [{**long, "id": f"{number:016}"} for number in range(1500)]
    text = rendered(form, values, a__py="one\ntwo\nthree\nfour\n")

    assert MAX_BODY_BYTES * 0.4 < len(text.encode()) <= MAX_BODY_BYTES
    assert "findings, the least severe, are left out" in text


def test_a_report_of_a_former_version_is_rendered_too() -> None:
    values = golden_values()
    for name in ("overview", "not_checked"):
        del values[name]
    del values["execution"]["steps"]
    for step in values["steps"]:
        del step["parent"]
    for attempt in values["execution"]["attempts"]:
        del attempt["begin"]
    for finding in values["findings"]:
        del finding["fingerprint"], finding["anchor"]

    assert all(rendered(form, values) for form in ("html", "sarif", "junit"))
    assert timeline(values).rows == ()


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (0.04, "0 s"), (9.96, "10 s"), (59.2, "59.2 s"), (61, "1 min 1 s"), (3660, "1 h 1 min")],
)
def test_a_duration_is_told_in_two_units(seconds: float, told: str) -> None:
    assert duration(seconds) == told
