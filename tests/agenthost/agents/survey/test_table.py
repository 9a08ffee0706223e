"""The table of the survey's flow has every rule of the lenses, with the words that their findings end in."""

import importlib
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest

from agenthost.agents import survey
from agenthost.agents.survey.sighting import Rule

TABLE = tomllib.loads((Path(__file__).parents[4] / "flows" / "survey" / "rules.toml").read_text())["lens"]
MODULES = [
    importlib.import_module(found.name) for found in pkgutil.walk_packages(survey.__path__, f"{survey.__name__}.")
]
RULES = {item.name: item for module in MODULES for item in vars(module).values() if isinstance(item, Rule)}


@pytest.mark.parametrize("name", RULES)
def test_a_reader_hears_once_why_a_rule_matters(name: str) -> None:
    assert TABLE[name.removeprefix("lens:")]["why"] == RULES[name].why


def test_the_table_has_the_rules_of_all_lenses_and_no_others() -> None:
    written = "\n".join(path.read_text() for path in Path(survey.__path__[0]).rglob("*.py"))
    assert set(TABLE) == set(re.findall(r'"lens:([a-z-]+)"', written))
