"""Reads the guidelines that a comparison changes, as its base has them: a branch must not choose the rules that it is judged by."""

import re
from collections.abc import Iterable

from conductor.snapshots.git import Git
from conductor.snapshots.scopes.changes import FileChange
from conductor.snapshots.storing.contents import NoContent, read_files

MAX_GUIDELINES = 20
MAX_BYTES_EACH = 64 * 1024
MAX_CHARACTERS_EACH = 13_000  # more than the agent tells, so that it says what it cuts
# The agent `facts` has the same, in `agents/facts/guidelines.py`.
_NAME = re.compile(
    r"(^|/)(AGENTS|CLAUDE|GEMINI)\.md$|^(\.github/|docs/)?CONTRIBUTING(\.(md|rst|txt|adoc))?$"
    r"|^\.github/copilot-instructions\.md$|^\.cursorrules$|^\.cursor/rules/[^/]+$"
)


def is_guideline(path: str) -> bool:
    """Returns whether a file tells people or agents how to work on the repository."""
    return bool(_NAME.search(path))


async def read_guidelines(git: Git, base: str, files: Iterable[FileChange]) -> dict[str, str]:
    """Returns the texts of the base's guidelines among changed files, by their paths there."""
    changed = [file.old_path or file.path for file in files if file.status != "added"]
    paths = [path for path in changed if is_guideline(path)][:MAX_GUIDELINES]
    contents = await read_files(git, base, paths, MAX_BYTES_EACH) if paths else {}
    return {
        path: data.decode(errors="replace")[:MAX_CHARACTERS_EACH]
        for path, data in contents.items()
        if not isinstance(data, NoContent)
    }
