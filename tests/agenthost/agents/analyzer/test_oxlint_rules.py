"""The rules of oxlint that the table keeps: each finds its example of the fault, and nothing in the one of good code."""

import tomllib
from pathlib import Path

import pytest

from tests.agenthost.agents.analyzer.driven import analyze_with, tree

EXAMPLES = tomllib.loads((Path(__file__).parent / "oxlint_rules.toml").read_text())
TABLE = Path(__file__).parents[4] / "flows/survey/rules.toml"


@pytest.mark.processes
def test_every_rule_finds_its_fault_and_nothing_in_good_code(tmp_path: Path) -> None:
    files = {
        f"{kind}/{rule}.{one['ending']}": one[kind] for rule, one in EXAMPLES.items() for kind in ("faulty", "good")
    }

    files["package.json"] = '{"dependencies": {"react": "19"}}'

    result = analyze_with("oxlint", tree(tmp_path, files))

    found = {(one["evidence"][0]["path"], one["rule"]) for one in result["findings"]}
    assert found == {(f"faulty/{rule}.{one['ending']}", f"oxlint:{rule}") for rule, one in EXAMPLES.items()}
    assert result["unjudged"] == 0


def test_every_rule_has_examples() -> None:
    kept = {rule for rule, entry in tomllib.loads(TABLE.read_text())["oxlint"].items() if "drop" not in entry}

    # A rule's kinds, such as "valid-expect/unawaited", are told apart by a second look, which has tests of its own.
    assert {rule for rule in kept if "/" not in rule} - {"import-ring", "tangled-function"} == EXAMPLES.keys()
