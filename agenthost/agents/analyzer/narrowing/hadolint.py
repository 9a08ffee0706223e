"""Reads what a project's hadolint leaves out: `ignored` of its configuration at the root.

`trustedRegistries` is no narrowing: it only adds a rule, which is not asked for here.
"""

from pathlib import Path

from .omissions import Omission, Omissions, words_of
from .repository import Repository
from .simple_yaml import read_simple_yaml

NAMES = (".hadolint.yaml", ".hadolint.yml")


def narrow(root: Path, base: str = "") -> Omissions:
    """Returns what the project's configuration of hadolint leaves out."""
    repository = Repository(root, base)
    omissions = Omissions(repository.origin)
    for path in NAMES:
        table = read_simple_yaml(repository.read(path))
        if rules := words_of(table.get("ignored")):
            omissions.add([Omission(path, "ignored", rules, is_exact=True)])
    return omissions
