"""The table of the survey's flow has every rule of the lenses, and no others."""

import re
import tomllib
from pathlib import Path

from agenthost.agents import claims, manifests, survey

TABLE = Path(__file__).parents[4] / "flows" / "survey" / "rules.toml"


def test_the_table_has_the_rules_of_all_lenses_and_no_others() -> None:
    folders = [Path(package.__path__[0]) for package in (claims, manifests, survey)]
    written = "\n".join(path.read_text() for folder in folders for path in folder.rglob("*.py"))
    rules = tomllib.loads(TABLE.read_text())["lens"]
    assert set(rules) == set(re.findall(r'"lens:([a-z-]+)"', written))
    # A rule whose findings are folded is told by the table alone; any other by each of its findings.
    assert [
        name
        for name, rule in rules.items()
        if ({"severity", "title", "titles", "remedy"} <= set(rule)) != rule.get("fold", True)
    ] == []
