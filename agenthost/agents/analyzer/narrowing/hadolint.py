"""Reads what a project's hadolint leaves out: `ignored` of its configuration at the root, and `--ignore` in its workflows.

`trustedRegistries` is no narrowing: it only adds a rule, which is not asked for here.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from ...reading.yaml_tree import child, items, text
from .omissions import Omission, Omissions
from .repository import MAX_FILES, Repository

NAMES = frozenset({".hadolint.yaml", ".hadolint.yml", "hadolint.yaml", "hadolint.yml"})  # in any case of letters
WORKFLOWS = ".github/workflows"
_RULE = r"[\"']?(?:DL|SC)\d{4}"
_IGNORED = re.compile(rf"--ignore[=\s]+{_RULE}|(?m:^)\s*ignore:\s*{_RULE}(?:[,\s]+(?:DL|SC)\d{{4}})*")


def narrow(root: Path, base: str = "") -> Omissions:
    """Returns what the project's configuration of hadolint leaves out."""
    repository = Repository(root, base)
    omissions = Omissions(repository.origin)
    for path in (path for path in repository.files_in("") if path.lower() in NAMES):
        ignored = child(repository.read_yaml(path), "ignored")
        if rules := tuple(rule for item in items(ignored) if (rule := text(item))):
            omissions.add([Omission(path, "ignored", rules, is_exact=True)])
    for path in repository.files_in(WORKFLOWS)[:MAX_FILES]:
        omissions.add(_of_commands(path, repository.read(path)))
    return omissions


def _of_commands(path: str, content: str) -> Iterator[Omission]:
    """Yields what a workflow tells hadolint to ignore, as an option or as an input of its action."""
    told = " ".join(_IGNORED.findall(content)) if "hadolint" in content else ""
    if rules := tuple(dict.fromkeys(re.findall(r"(?:DL|SC)\d{4}", told))):
        yield Omission(path, "--ignore", rules, is_exact=True, is_everywhere=True)
