"""The fold `merge`: nothing told twice, nothing lost, the important first. Keeps A11 F4."""

import random
from dataclasses import replace

from conductor.evaluation.evidence.findings import MAX_FINDINGS, Evidence, Finding, Found
from conductor.evaluation.evidence.merging import gather, merge


def finding(
    title: str,
    step: str = "risks",
    *,
    path: str = "a.py",
    lines: tuple[int, int] = (1, 3),
    severity: str = "medium",
    category: str = "",
    status: str = "verified",
    actual: int = 0,
) -> Finding:
    place = Evidence(path, *lines, f"quote of {title}", status, actual)
    return Finding(severity, title, f"Claim of {title}.", category or step, (place,), step)


def titles(*findings: Finding, most: int = 50) -> list[str]:
    return [finding.title for finding in merge(findings, most).findings]


def test_two_steps_that_say_nearly_the_same_of_one_place_are_one_finding() -> None:
    one = finding("The file a.py is changed too often", "hotspots", severity="low")
    other = finding("the file a.py is changed too much often", "risks", lines=(3, 9), severity="high")
    (merged,) = merge([one, other], 50).findings

    assert (merged.title, merged.severity, merged.step) == (other.title, "high", "risks")
    assert merged.found_by == ("risks", "hotspots")
    assert merged.evidence == (*other.evidence, *one.evidence)
    assert merged.claim == other.claim
    assert merged.id == other.id


def test_one_place_and_one_category_from_two_steps_are_one_and_both_claims_stay() -> None:
    one = finding("Eval on input", "risks", category="danger", severity="high")
    other = finding("No test runs this", "tests", category="danger")
    (merged,) = merge([other, one], 50).findings

    assert merged.claim == "Claim of Eval on input.\n\nAlso (danger): No test runs this. Claim of No test runs this."


def test_what_one_step_tells_apart_stays_apart() -> None:
    assert len(titles(finding("Eval on input"), finding("Shell with a value"))) == 2


def test_other_files_other_lines_and_other_categories_stay_apart() -> None:
    one = finding("Eval on input")

    assert len(titles(one, finding("Eval on input", "docs", path="b.py"))) == 2
    assert len(titles(one, finding("Eval on input", "docs", lines=(4, 5)))) == 2
    assert len(titles(one, finding("Something else", "docs"))) == 2


def test_a_place_is_where_the_quote_really_stands() -> None:
    one = finding("Eval on input", lines=(10, 12))
    moved = finding("Eval on input", "docs", lines=(90, 92), status="moved", actual=11)

    assert len(titles(one, moved)) == 1


def test_what_was_invented_never_takes_in_what_was_verified() -> None:
    invented = finding("Eval on input", severity="critical", status="missing")

    assert len(titles(invented, finding("Eval on input", "docs"))) == 2
    assert len(titles(invented, finding("Eval on input", "docs", status="missing"))) == 1


def test_one_invented_place_neither_takes_a_verdict_nor_gives_one() -> None:
    real = finding("Eval on input", "docs")
    half = finding("Eval on input", severity="critical")
    half = replace(half, evidence=(*half.evidence, Evidence("none.py", 1, 1, "invented", "missing")))

    assert [one.status for one in merge([half, real], 50).findings] == ["verified", "missing"]
    assert [one.status for one in merge([replace(half, severity="low"), real], 50).findings] == ["verified", "missing"]


def test_findings_without_a_place_are_never_merged() -> None:
    bare = [Finding("low", "The same", "", "x", (), step) for step in ("a", "b")]

    assert len(merge(bare, 50).findings) == 2


def test_the_rank_is_severity_then_how_many_found_it_then_status_then_place_and_missing_is_last() -> None:
    assert titles(
        finding("f", severity="low", path="z"),
        finding("e", severity="medium", path="c", status="missing"),
        finding("d", severity="medium", path="c", status="moved", lines=(40, 41)),
        finding("c", severity="medium", path="b"),
        finding("b shared", severity="medium", path="y"),
        finding("b shared", "docs", severity="medium", path="y"),
        finding("a", severity="critical", status="missing"),
    ) == ["b shared", "c", "d", "f", "a", "e"]


def test_what_does_not_fit_is_counted_and_told() -> None:
    found = merge([finding(f"{n}", path=f"{n}", severity="low" if n < 3 else "high") for n in range(7)], 2)

    assert [finding.severity for finding in found.findings] == ["high", "high"]
    assert found.left_out == 5
    assert found.notes == ("5 more findings were left out (2 high, 3 low): this flow keeps the first 2",)


def test_the_order_in_which_steps_ended_does_not_matter() -> None:
    chance = random.Random(7)
    findings = [
        finding(f"t {n % 5}", f"s{n % 4}", path=f"{n % 3}", lines=(n, n + 4), severity=("low", "high")[n % 2])
        for n in range(40)
    ]
    whole = merge(findings, 50)
    for _ in range(10):
        chance.shuffle(findings)
        assert merge(findings, 50) == whole


def test_a_merged_claim_and_its_places_stay_bounded() -> None:
    many = [finding(f"word{n} differs", f"s{n}", category="x", lines=(1, n + 1)) for n in range(200)]
    (merged,) = merge(many, 50).findings

    assert len(merged.claim) <= 4000
    assert len(merged.evidence) == 20
    assert len(merged.found_by) == 200


def test_of_very_many_findings_the_gravest_are_gathered_and_the_others_counted() -> None:
    low = [finding(f"low {number}", severity="low", path=f"{number}.py") for number in range(MAX_FINDINGS)]
    documents = [Found(tuple(low), left_out=2).as_json(), Found((finding("high", "docs", severity="high"),)).as_json()]
    found = gather(documents)

    assert (found.findings[0].title, len(found.findings), found.left_out) == ("high", MAX_FINDINGS, 3)
    assert found.notes == (f"1 more finding was left out (1 low): this flow keeps the first {MAX_FINDINGS}",)
    assert [one.title for one in gather(documents[:1]).findings] == [one.title for one in low]


def test_rules_of_tools_are_never_one_finding_and_the_same_rule_of_two_steps_is() -> None:
    one = replace(finding("Undefined name `a`", "ruff", category="python"), rule="ruff:F821")
    other = replace(finding("Undefined name `a`", "lint", category="python"), rule="pylint:E0602")
    same = replace(finding("Undefined name `a`", "ruff2", category="python"), rule="ruff:F821")
    again = replace(finding("Undefined name `a`", "ruff", category="python", lines=(2, 2)), rule="ruff:F821")

    assert len(merge([one, other], 50).findings) == 2
    assert [found.finders for found in merge([one, same], 50).findings] == [("ruff", "ruff2")]
    assert len(merge([one, again], 50).findings) == 2


def test_of_very_many_each_rule_keeps_a_place_and_what_its_tool_counts_is_not_left_out() -> None:
    flood = [
        replace(finding("Bad", "ruff", lines=(line, line), severity="critical"), rule="ruff:F1", occurrence=line)
        for line in range(1, 2000)
    ]
    rare = replace(finding("Rare", "zizmor", severity="info"), rule="zizmor:one")
    said = finding("Said by a model", "reader", severity="info")
    found = gather([Found((*flood, rare, said)).as_json()])

    assert (len(found.findings), found.left_out, found.notes) == (MAX_FINDINGS, 0, ())
    assert {one.title for one in found.findings} == {"Bad", "Rare", "Said by a model"}


def test_of_tools_rules_with_one_severity_the_one_with_more_places_comes_first_however_it_was_shown() -> None:
    ring = replace(finding("A small ring", "structure", path="a.py"), rule="lens:import-ring")
    place = finding("Actions", "zizmor", path="z.yml", status="placed")
    folded = replace(place, rule="zizmor:unpinned", calibrated=True, count=12)
    raw = replace(place, title="Raw", rule="semgrep:x")

    assert titles(ring, folded, raw) == ["Actions", "A small ring", "Raw"]
