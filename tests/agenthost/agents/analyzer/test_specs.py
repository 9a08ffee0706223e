"""The specs of the analyzers ask their tools for what the table of rules keeps."""

import json
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


def test_oxlint_is_asked_for_exactly_the_rules_that_the_table_keeps() -> None:
    text = (BUILT_IN / "analyzer/configurations/oxlint.json").read_text()
    settings = json.loads("".join(line for line in text.splitlines() if not line.lstrip().startswith("//")))
    rules = {rule for part in (settings, *settings["overrides"]) for rule in part["rules"]}
    table = tomllib.loads(TABLE.read_text())["oxlint"]
    kept = {rule.partition("/")[0] for rule, entry in table.items() if "drop" not in entry}

    read = {"no-cycle", "complexity", "max-lines-per-function"}
    told = {"import-ring", "tangled-function"}
    assert {rule.rpartition("/")[2] for rule in rules} - read == kept - told


def test_shellcheck_is_asked_in_workflows_for_rules_that_the_table_keeps_and_for_what_it_cannot_parse() -> None:
    spec = tomllib.loads((BUILT_IN / "shellcheck-run.toml").read_text())
    asked = set(spec["argv"][spec["argv"].index("--include") + 1].split(","))
    table = tomllib.loads(TABLE.read_text())[spec["analyzer"]["tool"]]
    kept = {rule.partition("/")[0] for rule, entry in table.items() if "drop" not in entry}

    unparsed = set(spec["analyzer"]["unparsed"])
    assert asked - kept == unparsed - kept  # a rule of what it cannot parse may be kept, too
    assert unparsed <= asked
    assert "SC2251" in asked
