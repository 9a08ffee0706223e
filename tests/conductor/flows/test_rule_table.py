"""Tables of rules: strict, every mistake at once, with its line, rule and field; and pinned with a run. Keeps A4 A8."""

import re
from pathlib import Path

import pytest

from conductor.flows.checks.judgement import Library
from conductor.flows.checks.validation import judge_text, parsed, problems_of
from conductor.flows.library.bundle import read_bundle, write_bundle
from conductor.flows.library.layers import Folder, Layer, built_in
from conductor.flows.library.library import read_library, texts_for
from conductor.flows.library.rule_table import MAX_RULES, filled, read_rule_table

GOOD = '[ruff.F821]\nseverity = "high"\nwhy = "It raises NameError."\n'
FLOW = """\
steps:
  - id: look
    agent: {agents: [ruff], prompt: look}
  - id: merged
    needs: [look]
    fold: {merge: {rules: survey/rules.toml}}
"""


def told(text: str) -> list[tuple[int, str]]:
    return [(problem.line, problem.field) for problem in read_rule_table(text).problems]


def test_a_rule_has_a_severity_and_a_reason_and_says_how_it_is_shown() -> None:
    table = read_rule_table(
        GOOD
        + 'title = "A name is not defined"\ntitles = "{count} names in {files} files"\nremedy = "Define it."\n'
        + 'fold = false\ntests = true\njudged_on = ["instapy"]\n[ruff.E501]\ndrop = "Long lines harm nobody."\n'
        + '[lens.import-ring]\nwhy = "None of them loads alone."\n[eslint."no-unused/vars"]\nseverity = "low"\nwhy = "Dead code."\n'
    )

    assert table.problems == ()
    assert table.tools == {"ruff", "lens", "eslint"}
    assert table.rules["ruff:F821"].judged_on == ("instapy",)
    assert not table.rules["ruff:F821"].fold
    assert table.rules["lens:import-ring"].fold
    assert "eslint:no-unused/vars" in table.rules
    assert [table.keeps(name) for name in ("ruff:F821", "ruff:E501", "ruff:F401")] == [True, False, False]
    assert [table.judges(name) for name in ("ruff:F401", "semgrep:x", "ruff", "")] == [True, False, False, False]


@pytest.mark.parametrize(
    ("titles", "files", "title"),
    [
        ("{count} actions in {files} workflows", 1, "1,200 actions in 1 workflow"),
        ("{count} actions in {files} workflows", 3, "1,200 actions in 3 workflows"),
        ("{files} libraries", 1, "1 library"),
        ("{files}", 1, "1"),
    ],
)
def test_a_title_has_its_numbers_and_one_file_is_not_many(titles: str, files: int, title: str) -> None:
    assert filled(titles, 1200, files) == title


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("[ruff.F821\n", [(1, "")]),
        ("a = " + "[" * 100_000, [(1, "")]),
        ("\n" + ".".join("a" * 100_000) + " = 1", [(2, "")]),
        ("a = " + "[" * 4000, [(1, "")]),
        ("ruff = 1\n", [(1, "ruff")]),
        ("[ruff]\nF821 = 'high'\n", [(1, "ruff.F821")]),
        (GOOD + "sevrity = 'low'\n", [(1, "ruff.F821.sevrity")]),
        ("\n[ruff.F821]\nseverity = 'urgent'\nwhy = 'x'\n", [(2, "ruff.F821.severity")]),
        ("[ruff.F821]\nwhy = 'x'\n", [(1, "ruff.F821.severity")]),
        ("[ruff.F821]\nseverity = 'low'\n", [(1, "ruff.F821.why")]),
        (GOOD + "drop = 'noise'\n", [(1, "ruff.F821.severity"), (1, "ruff.F821.why")]),
        ("[ruff.F821]\ndrop = ' '\n", [(1, "ruff.F821.drop")]),
        (GOOD + "titles = '{number} names'\n", [(1, "ruff.F821.titles")]),
        (GOOD + "titles = '{count:>9999999}'\n", [(1, "ruff.F821.titles")]),
        (GOOD + "titles = '{count.__class__}'\n", [(1, "ruff.F821.titles")]),
        (GOOD + "titles = '{}'\n", [(1, "ruff.F821.titles")]),
        (GOOD + "title = '{count} names'\n", [(1, "ruff.F821.title")]),
        (GOOD + "title = '`[ -n ${VAR} ]` is always true'\n", []),
        (GOOD + "title = 7\n", [(1, "ruff.F821.title")]),
        (GOOD + "remedy = '''a\nb'''\n", [(1, "ruff.F821.remedy")]),
        (GOOD + f"remedy = '{'x' * 1001}'\n", [(1, "ruff.F821.remedy")]),
        (GOOD + "fold = 'no'\ntests = 1\n", [(1, "ruff.F821.fold"), (1, "ruff.F821.tests")]),
        (GOOD + "judged_on = 'instapy'\n", [(1, "ruff.F821.judged_on")]),
        (GOOD + "[ruff.F821.more]\na = 1\n", [(1, "ruff.F821.more")]),
        (f"[ruff.{'x' * 100}]\ndrop = 'x'\n", [(1, f"ruff.{'x' * 100}")]),
        ('["a:b".c]\ndrop = "x"\n', [(1, "a:b.c")]),
        ("".join(f"[t.r{number}]\ndrop = 'x'\n" for number in range(MAX_RULES + 1)), [(1, "")]),
        ("", []),
    ],
)
def test_each_mistake_is_told_with_its_line_its_rule_and_its_field(text: str, problems: list[tuple[int, str]]) -> None:
    """Keeps A4."""
    assert told(text) == problems


def test_validate_tells_the_mistakes_of_a_table_that_a_flow_names(tmp_path: Path) -> None:
    """Keeps A4."""
    flows = tmp_path / ".conductor" / "flows"
    (flows / "survey").mkdir(parents=True)
    table = flows / "survey" / "rules.toml"
    table.write_text(GOOD + "\n[ruff.E501]\nseverity = 'urgent'\nwhy = 'x'\n")

    (problem,) = problems_of(FLOW.encode(), "x.yaml", tmp_path)

    assert str(problem) == f"{table}:5: ruff.E501.severity: must be one of critical, high, medium, low, info"


def test_an_unknown_table_is_told_and_a_table_of_the_operator_hides_the_built_in_one(tmp_path: Path) -> None:
    (problem,) = judge_text(FLOW.encode(), "x.yaml", Library()).problems
    assert (problem.line, problem.field) == (6, "steps[1].fold.merge.rules")
    assert "there is no table of rules 'survey/rules.toml'" in problem.text

    (tmp_path / "flows" / "survey").mkdir(parents=True)
    (tmp_path / "flows" / "survey" / "rules.toml").write_text(GOOD)
    own = Folder(Layer.PROJECT, tmp_path / "flows", tmp_path / "personas", tmp_path / "contracts")
    _, texts = read_library((own, built_in()))

    assert texts.rules["survey/rules.toml"] == GOOD


def test_a_run_keeps_the_table_that_it_began_with_and_bundles_without_one_stay_the_same() -> None:
    flow = judge_text(FLOW.encode(), "x.yaml", Library(tables=frozenset({("survey/rules.toml", "x", GOOD)}))).flow
    assert flow is not None
    _, texts = read_library((built_in(),))
    used = texts_for(flow, texts)

    assert set(used.rules) == {"survey/rules.toml"}
    assert read_bundle(write_bundle(flow, used)).texts.rules == used.rules
    flow.steps[1].fold.merge.rules = ""
    assert b'"rules"' not in write_bundle(flow, texts_for(flow, texts))


def test_a_client_sends_the_tables_that_its_flow_names(tmp_path: Path) -> None:
    (tmp_path / ".conductor" / "flows" / "mine").mkdir(parents=True)
    (tmp_path / ".conductor" / "flows" / "mine" / "rules.toml").write_text(GOOD)
    text = FLOW.replace("survey/rules.toml", "mine/rules.toml")

    _, sent, problems = parsed(text.encode(), "x.yaml", tmp_path)

    assert problems == ()
    assert sent.texts.rules == {"mine/rules.toml": GOOD}


def test_the_survey_s_table_has_every_rule_of_our_own_lenses() -> None:
    """One that it lacked would be dropped without a word."""
    lenses = built_in().flows.parent / "agenthost" / "agents" / "survey"
    told = {name for path in lenses.rglob("*.py") for name in re.findall(r'"(lens:[a-z0-9-]+)"', path.read_text())}
    table = read_rule_table(read_library((built_in(),))[1].rules["survey/rules.toml"])

    assert len(told) > 10
    assert {name for name in told if not table.keeps(name)} == set()


def test_the_built_in_tables_are_good() -> None:
    _, texts = read_library((built_in(),))

    assert {name: read_rule_table(text).problems for name, text in texts.rules.items()} == dict.fromkeys(
        texts.rules, ()
    )
