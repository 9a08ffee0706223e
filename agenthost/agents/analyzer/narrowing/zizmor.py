"""Reads what a project's zizmor leaves out: `disable` and `ignore` of a rule, and which actions need no hash."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...reading.yaml_tree import Node, child, entries, items, text
from ..results import Result
from .globs import is_matched
from .omissions import Omission, Omissions
from .repository import Repository

NAMES = (".github/zizmor.yml", ".github/zizmor.yaml", "zizmor.yml", "zizmor.yaml")
UNPINNED = "unpinned-uses"
_PLACE = re.compile(r"(?P<name>[^:/]+)(?::(?P<line>\d{1,7}))?(?::\d+)?")
_USES = re.compile(r"uses:\s*[\"']?(?P<action>[\w.-]+/[\w./-]+)(?P<reference>@[^\s\"'#]+)?")


class ZizmorOmissions(Omissions):
    """As `Omissions`, and policies of pinning."""

    def __init__(self, snapshot: Repository, origin: str) -> None:
        super().__init__(origin)
        self._snapshot = snapshot
        self.policies: Mapping[str, str] = {}  # by pattern of actions
        self.file = ""

    def leaves_out(self, result: Result) -> bool:
        """Returns whether a rule is left out there, or the action may be used as it is."""
        is_allowed = result.rule == UNPINNED and bool(self.policies) and self._is_allowed(result)
        if is_allowed:
            self.applied[f"{self.file}{self.origin} (rules.{UNPINNED}.config.policies)"] = None
        return is_allowed or super().leaves_out(result)

    def _is_allowed(self, result: Result) -> bool:
        lines = self._snapshot.read(result.path).split("\n")[
            result.start_line - 1 : max(result.start_line, result.end_line)
        ]
        match = _USES.search("\n".join(lines))
        if match is None:
            return False
        fitting = [pattern for pattern in self.policies if pattern == "*" or is_matched(match["action"], f"/{pattern}")]
        policy = self.policies[max(fitting, key=lambda one: len(one.rstrip("*")))] if fitting else ""
        return policy == "any" or (policy == "ref-pin" and bool(match["reference"]))


def narrow(root: Path, base: str = "") -> ZizmorOmissions:
    """Returns what the project's configuration of zizmor leaves out: of the first file that is there."""
    repository = Repository(root, base)
    omissions = ZizmorOmissions(Repository(root), repository.origin)
    omissions.file = next((name for name in NAMES if repository.read(name)), "")
    rules = child(repository.read_yaml(omissions.file), "rules") if omissions.file else None
    for rule, _, settings in entries(rules):
        omissions.add(_omissions(omissions.file, rule, settings))
    policies = child(rules, UNPINNED, "config", "policies")
    omissions.policies = {pattern: text(policy) for pattern, _, policy in entries(policies)}
    return omissions


def _omissions(file: str, rule: str, settings: Node) -> Iterator[Omission]:
    if text(child(settings, "disable")) == "true":
        yield Omission(file, f"rules.{rule}.disable", (rule,), is_exact=True, is_everywhere=True)
    for item in items(child(settings, "ignore")):
        if match := _PLACE.fullmatch(text(item)):
            line = int(match["line"] or 0)
            yield Omission(
                file, f"rules.{rule}.ignore", (rule,), (match["name"],), line, is_exact=True, is_everywhere=True
            )
