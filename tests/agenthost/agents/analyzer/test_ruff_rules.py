"""Rules of ruff that the table keeps: each finds its example of the fault, and nothing in the one of good code."""

import tomllib
from pathlib import Path

import pytest

from tests.agenthost.agents.analyzer.driven import analyze_with, tree

EXAMPLES = tomllib.loads((Path(__file__).parent / "ruff_rules.toml").read_text())
TABLE = Path(__file__).parents[4] / "flows/survey/rules.toml"


@pytest.mark.processes
def test_every_rule_finds_its_fault_and_nothing_in_good_code(tmp_path: Path) -> None:
    files = {f"{kind}/{rule}.py": one[kind] for rule, one in EXAMPLES.items() for kind in ("faulty", "good")}

    result = analyze_with("ruff", tree(tmp_path, files))

    found = {(one["evidence"][0]["path"], one["rule"]) for one in result["findings"]}
    # Some faults are told by a second rule, too.
    assert found >= {(f"faulty/{rule}.py", f"ruff:{rule}") for rule in EXAMPLES}
    assert [place for place in found if place[0].startswith("good/")] == []


def test_every_rule_with_an_example_is_kept() -> None:
    rules = tomllib.loads(TABLE.read_text())["ruff"]

    assert [rule for rule in EXAMPLES if "drop" in rules.get(rule, {"drop": ""})] == []
