"""Reads the guidelines that a comparison changes, as its base has them: a branch must not choose the rules that it is judged by."""

import re
from collections.abc import Iterable

from conductor.snapshots.git import Git
from conductor.snapshots.scopes.changes import FileChange
from conductor.snapshots.storing.contents import NoContent, read_files

MAX_GUIDELINES = 20
MAX_NAMED = 200
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
    """Returns the base's texts of the guidelines among changed files, those nearest to the top first; empty where it has none."""
    changed = {path for file in files for path in (file.path, file.old_path) if is_guideline(path)}
    paths = sorted(changed, key=lambda path: (path.count("/"), path))[:MAX_NAMED]
    contents = await read_files(git, base, paths, MAX_BYTES_EACH) if paths else {}
    held = [(path, data) for path, data in contents.items() if not isinstance(data, NoContent)][:MAX_GUIDELINES]
    return dict.fromkeys(paths, "") | {path: data.decode(errors="replace")[:MAX_CHARACTERS_EACH] for path, data in held}
