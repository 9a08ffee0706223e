"""Reads what a project's hadolint leaves out: `ignored` of its configuration at the root.

`trustedRegistries` is no narrowing: it only adds a rule, which is not asked for here.
"""

from pathlib import Path

from ...reading.yaml_tree import child, items, text
from .omissions import Omission, Omissions
from .repository import Repository

NAMES = (".hadolint.yaml", ".hadolint.yml")


def narrow(root: Path, base: str = "") -> Omissions:
    """Returns what the project's configuration of hadolint leaves out."""
    repository = Repository(root, base)
    omissions = Omissions(repository.origin)
    for path in NAMES:
        ignored = child(repository.read_yaml(path), "ignored")
        if rules := tuple(rule for item in items(ignored) if (rule := text(item))):
            omissions.add([Omission(path, "ignored", rules, is_exact=True)])
    return omissions
