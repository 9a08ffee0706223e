"""Fingerprints: what keeps one and what changes it, case by case. Keeps F11."""

from dataclasses import replace

import pytest

from conductor.evaluation.evidence import fingerprints
from conductor.evaluation.evidence.citations import CitationCheck
from conductor.evaluation.evidence.findings import Evidence, Finding, read_document
from conductor.evaluation.evidence.fingerprints import follow

SOURCE = (
    "import os\n\n\ndef load(path):\n    # TODO\n    return open(path)\n\n\ndef save(path):\n    # TODO\n    pass\n"
)


def found(quote: str, start: int, end: int = 0, path: str = "a.py", **fields: str) -> Finding:
    values = {"severity": "low", "title": "A title", "claim": "A claim.", "category": "bug", **fields}
    return Finding(**values, evidence=(Evidence(path, start, end or start, quote),), step="look")  # type: ignore[arg-type]


def identified(*findings: Finding, source: str = SOURCE, path: str = "a.py") -> list[Finding]:
    check = CitationCheck({path: source.encode()})
    return list(check.identify([check.judge(finding) for finding in findings]))


def print_of(finding: Finding, source: str = SOURCE, path: str = "a.py") -> str:
    return identified(finding, source=source, path=path)[0].fingerprint


OPEN = found("return open(path)", 6)


@pytest.mark.parametrize(
    ("other", "source"),
    [
        (replace(OPEN, title="Another title", claim="Another claim.", severity="high", remedy="Close it."), SOURCE),
        (found("return open(path)", 9), "# moved\n\n\n" + SOURCE),
        (found("return open(path)", 2), "# moved, and cited at its old line\n" + SOURCE),
        (found("open(path)", 6), SOURCE),
        (found("return open(path)", 4, 7), SOURCE),
        (found("return open(path)\n", 6, 7), SOURCE),
        (found("return   open(path)", 6), SOURCE.replace("    return open(path)", "\treturn   open(path)  ")),
        (found("return open(path)", 6), SOURCE.replace("\n", "\r\n")),
        (found("return open(path)", 6, path="./a.py"), SOURCE),
    ],
    ids=["words", "moved", "MOVED", "a part", "more lines", "line end", "white space", "CRLF", "spelling of the path"],
)
def test_a_finding_keeps_its_fingerprint(other: Finding, source: str) -> None:
    assert print_of(other, source) == print_of(OPEN)


@pytest.mark.parametrize(
    "other",
    [
        replace(OPEN, category="security"),
        replace(OPEN, rule="B101"),
        found("def load(path):", 4),
        found("return close(path)", 6),
        replace(OPEN, evidence=()),
    ],
    ids=["category", "a tool's rule", "another line", "a quote that is not there", "no place"],
)
def test_another_finding_has_another_fingerprint(other: Finding) -> None:
    assert print_of(other) != print_of(OPEN)


def test_equal_lines_are_told_apart_by_their_order_whoever_finds_them() -> None:
    first, second = found("# TODO", 5), found("# TODO", 10)
    both = [finding.fingerprint for finding in identified(second, first)]

    assert both == [print_of(second), print_of(first)]
    assert both[0] != both[1]
    assert print_of(found("# TODO", 12), SOURCE.replace("import os", "import os\nimport re\n")) == print_of(second)


def test_two_findings_about_one_line_are_numbered() -> None:
    prints = [finding.fingerprint for finding in identified(OPEN, replace(OPEN, title="Leaks"), OPEN)]

    assert len(set(prints)) == 3
    assert prints[0] == print_of(OPEN)


def test_a_tools_finding_is_its_rule_and_path_however_often_its_line_changes() -> None:
    rule = replace(OPEN, rule="SIM115", category="a", title="Line 6")
    moved = replace(found("with open(path)", 1), rule="SIM115", category="b")

    assert print_of(rule) == print_of(moved, "with open(path) as file: pass\n")
    assert print_of(rule) != print_of(
        replace(rule, evidence=(Evidence("b.py", 6, 6, "return open(path)"),)), path="b.py"
    )


def test_a_renamed_file_is_followed_by_the_anchor() -> None:
    there = replace(OPEN, evidence=(replace(OPEN.evidence[0], path="new.py"),))
    (renamed,) = identified(there, path="new.py")

    assert renamed.fingerprint != print_of(OPEN)
    assert follow(renamed.anchor, "a.py") == print_of(OPEN)


def test_a_finding_without_a_place_has_its_title_and_no_other_has_it() -> None:
    nowhere = replace(OPEN, evidence=())

    assert print_of(nowhere) == print_of(replace(nowhere, claim="Else.", title=" A  title"))
    assert print_of(nowhere) != print_of(replace(nowhere, title="B title"))


def test_the_first_place_that_was_found_counts() -> None:
    invented = Evidence("a.py", 1, 1, "nothing of the kind")

    assert print_of(replace(OPEN, evidence=(invented, *OPEN.evidence))) == print_of(OPEN)


def test_a_document_keeps_fingerprints_and_one_of_a_former_version_has_none() -> None:
    (finding,) = identified(OPEN)
    document = {"findings": [finding.as_json()]}
    before = {name: value for name, value in finding.as_json().items() if name not in {"anchor", "fingerprint"}}

    assert read_document(document) == (replace(finding, found_by=("look",)),)
    assert read_document({"findings": [before]})[0].fingerprint == ""
    assert len(finding.fingerprint) == fingerprints.DIGITS


def test_files_of_very_many_lines_cost_a_bounded_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "MAX_WALKED_LINES", 10)
    first, last = found("x = 1", 1), found("x = 1", 100)

    assert len({finding.fingerprint for finding in identified(first, last, source="x = 1\n" * 100)}) == 2
