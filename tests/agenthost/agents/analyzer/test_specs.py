"""The specs of the analyzers ask their tools for what the table of rules keeps."""

import tomllib
from pathlib import Path

from agenthost.agent_specs import BUILT_IN

TABLE = Path(__file__).parents[4] / "flows/survey/rules.toml"


def test_ruff_is_asked_for_every_rule_that_the_table_keeps() -> None:
    argv = tomllib.loads((BUILT_IN / "ruff.agent.toml").read_text())["argv"]
    selected = tuple(argv[argv.index("--select") + 1].split(","))
    kept = [rule for rule, entry in tomllib.loads(TABLE.read_text())["ruff"].items() if "drop" not in entry]

    assert kept
    assert [rule for rule in kept if rule[0].isupper() and not rule.startswith(selected)] == []
