"""Tables of rules over findings: kept, folded, dropped and counted, and one identity however many places come."""

from collections.abc import Mapping
from typing import Any

from agenthost.agents.files import is_test as is_test_to_hosts
from conductor.evaluation.evidence.comparison import compare
from conductor.evaluation.evidence.findings import MAX_PLACES, Evidence, Finding, Found, read_document
from conductor.evaluation.evidence.rulings import Ruled, judge_by_rules
from conductor.evaluation.evidence.test_code import is_test
from conductor.flows.library.rule_table import read_rule_table

TABLE = """
[zizmor.unpinned-uses]
severity = "medium"
why = "A tag can move."
title = "An action is not pinned"
titles = "{count} actions in {files} files are not pinned"
remedy = "Pin it."
[ruff.F821]
severity = "high"
why = "It raises NameError."
[ruff.E501]
drop = "Long lines harm nobody."
[deptry.DEP001]
severity = "medium"
why = "It is not installed."
fold = false
[lens.import-ring]
why = "None of them loads alone."
fold = false
[lens.hollow-test]
why = "It cannot fail."
tests = true
"""


def found(rule: str, path: str = "a.py", line: int = 1, title: str = "", **members: object) -> Finding:
    place = Evidence(path, line, line, "quoted", "placed")
    given = {
        "evidence": (place,),
        "severity": "info",
        "claim": "",
        "category": "tools",
        "step": rule.partition(":")[0],
        **members,
    }
    return Finding(title=title or f"says {rule}", rule=rule, **given)  # type: ignore[arg-type]


def ruled(*findings: Finding, counts: Mapping[str, int] | None = None) -> Ruled:
    return judge_by_rules(findings, read_rule_table(TABLE), [{"step": "ruff", "rules": counts}] if counts else [])


def dropped(result: Ruled) -> dict[str, Any]:
    return {one["step"]: one.get("dropped") for one in result.coverage}


def test_a_kept_rule_has_our_severity_reason_title_and_remedy() -> None:
    (kept,) = ruled(found("zizmor:unpinned-uses", title="unpinned action reference")).kept

    assert (kept.severity, kept.title, kept.remedy) == ("medium", "An action is not pinned", "Pin it.")
    assert kept.claim == "A tag can move.\n\nzizmor says: unpinned action reference."


def test_one_place_of_a_rule_without_a_title_has_the_tools_own_words_as_its_title() -> None:
    (kept,) = ruled(found("ruff:F821", title="`pth` should be `path`.")).kept

    assert (kept.title, kept.claim) == ("`pth` should be `path`", "It raises NameError.")


def test_what_a_tool_says_is_told_whole_where_the_title_had_to_be_cut() -> None:
    said = "`a/much/longer/path.py` should be `b/path.py`"
    (kept,) = ruled(found("lens:hollow-test", title=said[:30] + "…", claim=f"{said}.")).kept

    assert kept.claim == f"It cannot fail.\n\n{said}."


def test_what_only_tests_have_is_at_most_medium() -> None:
    table = read_rule_table(TABLE.replace('severity = "high"', 'severity = "high"\ntests = true'))
    of_tests, of_both = found("ruff:F821", "tests/a.py"), (found("ruff:F821", "tests/a.py"), found("ruff:F821"))

    assert judge_by_rules([of_tests], table, []).kept[0].severity == "medium"
    assert judge_by_rules(of_both, table, []).kept[0].severity == "high"


def test_twelve_places_are_one_finding_with_one_remedy() -> None:
    places = [found("zizmor:unpinned-uses", f".github/workflows/{number % 3}.yml", number + 1) for number in range(12)]
    (kept,) = ruled(*places).kept

    assert (kept.title, kept.count) == ("12 actions in 3 files are not pinned", 12)
    assert len(kept.evidence) == 12
    assert [place.path for place in kept.evidence] == sorted(place.path for place in kept.evidence)


def test_two_findings_in_the_same_lines_have_one_place() -> None:
    names = [
        found("zizmor:unpinned-uses", "a.yml", line, title=f"name {line} {way}") for line in (1, 2) for way in "xy"
    ]
    (kept,) = ruled(*names).kept

    assert (kept.title, kept.count, len(kept.evidence)) == ("4 actions in 1 file are not pinned (on 2 lines)", 2, 2)


def test_the_number_is_the_true_one_beyond_what_a_tool_hands_in() -> None:
    (kept,) = ruled(*(found("ruff:F821", line=line) for line in range(1, 41)), counts={"ruff:F821": 300}).kept

    assert (kept.count, len(kept.evidence), kept.title) == (300, 20, "says ruff:F821 (300 places)")


def test_the_places_behind_those_that_are_shown_are_listed_and_the_rest_is_counted() -> None:
    findings = [found("ruff:F821", line=line) for line in range(1, 41)]
    (few,), (kept,) = ruled(*findings[:3]).kept, ruled(*findings, counts={"ruff:F821": 300}).kept

    shown = [f"{place.path}:{place.first_line}" for place in kept.evidence]
    assert len({*shown, *kept.more_places}) == 40
    assert (len(kept.more_places), kept.unlisted) == (20, 260)
    assert (few.more_places, few.unlisted) == ((), 0)
    assert read_document({"findings": [kept.as_json()]}) == (kept,)


def test_a_folded_finding_lists_a_bounded_number_of_places() -> None:
    (kept,) = ruled(*(found("ruff:F821", line=line) for line in range(1, MAX_PLACES + 8))).kept

    assert (len(kept.evidence) + len(kept.more_places), kept.unlisted) == (MAX_PLACES, 7)


def test_a_folded_finding_is_the_same_when_a_place_comes_before_the_others_and_when_the_first_goes() -> None:
    places = [found("zizmor:unpinned-uses", f"{letter}.yml") for letter in "bcd"]
    more = [found("zizmor:unpinned-uses", "a.yml"), *places]
    identities = {
        (one.id, one.fingerprint, one.former_fingerprint)
        for given in (places, more, places[1:], places[:1])
        for one in ruled(*given).kept
    }

    assert len(identities) == 1
    (kept,) = ruled(*places).kept
    assert kept.fingerprint
    assert read_document(Found((kept,)).as_json()) == (kept,)
    assert kept.id == read_document(Found((kept,)).as_json())[0].id


def test_a_comparison_of_runs_knows_a_folded_finding_with_a_thirteenth_place_and_tells_when_the_last_is_gone() -> None:
    """Keeps F11."""
    twelve = [found("ruff:F821", f"m{number}.py") for number in range(12)]
    documents = [
        [one.as_json() for one in ruled(*given).kept]
        for given in (twelve, [found("ruff:F821", "a.py"), *twelve], twelve[5:], ())
    ]

    for later in documents[1:3]:
        compared = compare(documents[0], later)
        assert ([len(part) for part in compared], compared.persistent) == ([0, 0, 1], later)
    assert [len(part) for part in compare(documents[0], documents[3])] == [0, 1, 0]


def test_over_a_change_a_folded_finding_has_the_places_inside_of_it() -> None:
    inside, outside = found("ruff:F821", "b.py"), found("ruff:F821", "a.py", outside_scope=True)
    (kept,) = ruled(inside, outside, counts={"ruff:F821": 300}).kept
    (other,) = ruled(outside, counts={"ruff:F821": 300}).kept

    assert (kept.outside_scope, kept.count, kept.total) == (False, 1, 300)
    assert [place.path for place in kept.evidence] == ["b.py"]
    assert (other.outside_scope, other.count) == (True, 300)
    assert kept.fingerprint == other.fingerprint


def test_a_place_that_does_not_exist_does_not_spoil_a_folded_finding() -> None:
    gone = found("ruff:F821", "a.py", evidence=(Evidence("a.py", 9, 9, "", "missing", reason="the file has 3 lines"),))
    (kept,) = ruled(gone, found("ruff:F821", "b.py")).kept
    (lost,) = ruled(gone).kept

    assert (kept.status, [place.path for place in kept.evidence], kept.count) == ("placed", ["b.py"], 1)
    assert lost.status == "missing"


def test_each_cause_is_one_finding_where_the_table_does_not_fold() -> None:
    kept = ruled(
        found("deptry:DEP001", "a.py", title="'yaml' is not declared"),
        found("deptry:DEP001", "b.py", title="'yaml' is not declared"),
        found("deptry:DEP001", "b.py", title="'attr' is not declared"),
    ).kept

    assert {(one.title, one.count) for one in kept} == {
        ("'yaml' is not declared (2 places)", 2),
        ("'attr' is not declared", 1),
    }
    assert len({one.fingerprint for one in kept}) == 2


def test_a_lens_rates_its_own_findings_and_each_keeps_its_identity() -> None:
    one = found("lens:import-ring", severity="high", claim="a and b.", anchor="1", fingerprint="2")
    other = found("lens:import-ring", "c.py", severity="low", claim="c and d.", anchor="3", fingerprint="4")
    kept = ruled(one, other).kept

    assert [(kept_one.severity, kept_one.fingerprint, kept_one.id) for kept_one in kept] == [
        ("high", "2", one.id),
        ("low", "4", other.id),
    ]
    assert kept[0].claim == "None of them loads alone.\n\na and b."


def test_what_a_lens_says_of_each_place_is_told_with_its_place() -> None:
    one, other = (
        found("lens:hollow-test", path, title=title) for path, title in (("a.py", "job `a`"), ("b.py", "job `b`"))
    )

    assert ruled(one, other).kept[0].claim == "It cannot fail.\n\nJob `a` (a.py:1); job `b` (b.py:1)."
    assert ruled(one).kept[0].claim == "It cannot fail.\n\nJob `a`."


def test_a_finding_that_is_not_folded_keeps_the_order_of_its_places() -> None:
    places = tuple(Evidence(path, 1, 1, "import", "verified") for path in ("z.py", "tests/a.py", "b.py"))
    ring = found("lens:import-ring", evidence=places)
    (kept,) = ruled(ring).kept

    assert [place.path for place in kept.evidence] == ["z.py", "b.py"]
    assert kept.id == ring.id


def test_what_is_dropped_or_not_in_the_table_of_its_tool_is_counted_and_other_tools_stay_as_they_are() -> None:
    other = [found("semgrep:x"), found(""), found("no-colon")]
    result = ruled(found("ruff:E501"), found("ruff:F999"), *other, counts={"ruff:E501": 1200})

    assert result.kept == ()
    assert result.others == tuple(other)
    assert dropped(result) == {"ruff": {"ruff:E501": 1200, "ruff:F999": 1}}


def test_places_in_test_code_count_only_where_the_table_says_so() -> None:
    result = ruled(
        found("ruff:F821", "tests/a.py"), found("ruff:F821", "src/a.py"), found("lens:hollow-test", "tests/a.py")
    )

    assert [(one.rule, [place.path for place in one.evidence]) for one in result.kept] == [
        ("ruff:F821", ["src/a.py"]),
        ("lens:hollow-test", ["tests/a.py"]),
    ]
    assert dropped(result) == {"ruff": {"ruff:F821": 1}}


def test_what_a_tool_counted_in_test_code_is_told_apart_and_a_rule_without_any_finding_is_counted_too() -> None:
    name = "zizmor:unpinned-uses"
    coverage = [
        {"step": "ruff", "rules": {name: 300, "ruff:E501": 7}, "in_tests": {name: 100}, "rule_files": {name: 40}}
    ]
    result = judge_by_rules([found(name, line=line) for line in (1, 2)], read_rule_table(TABLE), coverage)

    assert [one.title for one in result.kept] == ["200 actions in 40 files are not pinned"]
    assert dropped(result) == {"ruff": {name: 100, "ruff:E501": 7}}
    again = judge_by_rules(result.kept, read_rule_table(TABLE), result.coverage)
    assert (again.kept, again.coverage) == (result.kept, result.coverage)


def test_a_folded_finding_goes_through_a_second_merge_as_it_is() -> None:
    (kept,) = ruled(*(found("ruff:F821", line=line) for line in range(1, 4))).kept

    assert ruled(kept, counts={"ruff:F821": 3}).kept == (kept,)


def test_test_code_is_told_by_its_path_and_hosts_count_the_same_files() -> None:
    inside = (
        "tests/a.py",
        "src/test_a.py",
        "a/b_test.go",
        "web/x.spec.ts",
        "src/FooTest.java",
        "test/run.sh",
        "a.bats",
        "ci/run_test.sh",
        "Mocks/a.go",
        "x_spec.rb",
    )
    outside = (
        "src/a.py",
        ".github/workflows/tests.yml",
        "src/testament.py",
        "contest/a.py",
        "Dockerfile",
        "a/latest.js",
    )

    for told in (is_test, is_test_to_hosts):
        assert [told(path) for path in (*inside, *outside)] == [True] * len(inside) + [False] * len(outside)


def test_the_place_that_the_tool_thinks_worst_of_comes_first() -> None:
    (kept,) = ruled(
        found("zizmor:unpinned-uses", "a.yml", severity="low", title="small"),
        found("zizmor:unpinned-uses", "z.yml", severity="medium", title="large"),
        found("zizmor:unpinned-uses", "b.yml", severity="low", title="small"),
    ).kept
    assert [place.path for place in kept.evidence] == ["z.yml", "a.yml", "b.yml"]
    assert "zizmor says: large; small." in kept.claim


def test_long_words_of_a_tool_stand_apart() -> None:
    one, other = (
        f"`{name}` has 660 lines of code and 159 independent paths through it, which is too many" for name in "ab"
    )
    (kept,) = ruled(
        found("zizmor:unpinned-uses", "a.yml", title=one), found("zizmor:unpinned-uses", "b.yml", title=other)
    ).kept
    assert kept.claim.endswith(f"zizmor says:\n\n{one}.\n\n{other}.")


def test_places_in_product_code_come_before_those_in_examples() -> None:
    (kept,) = ruled(found("ruff:F821", "etc/examples/a.py"), found("ruff:F821", "src/b.py")).kept

    assert [place.path for place in kept.evidence] == ["src/b.py", "etc/examples/a.py"]
