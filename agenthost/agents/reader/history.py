"""Reads the snapshot's history with git: log, show and blame, bounded, with read-only commands only."""

import re
import subprocess

from .files import ToolError

SECONDS = 20
MAX_CHARACTERS = 16_000
MAX_COMMITS = 50
_COMMIT = re.compile(r"[0-9A-Za-z][0-9A-Za-z_./~^-]{0,99}")


def log(path: str = "", limit: int = 15) -> str:
    """Returns the newest commits, of a path where one is given."""
    count = min(max(limit, 1), MAX_COMMITS)
    return _git("log", f"-n{count}", "--date=short", "--format=%h %ad %an: %s", "--", *([path] if path else []))


def show(commit: str, path: str = "") -> str:
    """Returns a commit's message and diff, or a file as it was in that commit."""
    if not _COMMIT.fullmatch(commit):
        raise ToolError(f"'{commit}' is no commit; git_log shows them")
    return _git("show", f"{commit}:{path}") if path else _git("show", "--stat", "--patch", commit)


def blame(path: str, start_line: int = 1, end_line: int = 0) -> str:
    """Returns who changed each line last, and when."""
    first = max(start_line, 1)
    last = end_line or first + 40
    return _git("blame", "--date=short", f"-L{first},{max(last, first)}", "--", path)


def _git(*arguments: str) -> str:
    command = ["git", "--no-pager", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"git {arguments[0]} took longer than {SECONDS} s; ask for less") from error
    except OSError as error:
        raise ToolError("git is not there, so there is no history") from error
    if done.returncode != 0:
        raise ToolError(done.stderr.decode("utf-8", "replace").strip()[:500] or f"git {arguments[0]} failed")
    text = done.stdout.decode("utf-8", "replace")
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + "\n… cut; ask for one path or fewer lines"
