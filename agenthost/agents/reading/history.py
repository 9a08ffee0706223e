"""Reads the history with git: which commits changed which files, newest first, within bounds.

Git is told to run nothing on its own (no pager, no hooks, no textconv, no external diff) and to read no configuration but the
repository's. Without a git program or a GIT_DIR there is no history, and `absence` says why.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

MAX_COMMITS = 4000
MAX_LOG_BYTES = 48_000_000
MAX_COMMIT_CHARACTERS = 100
GIT_TIMEOUT_SECONDS = 60
NO_COMMITS = "No history came with the snapshot"
_BEGIN = "\x01"
_QUIET = ("--no-pager", "-c", "log.showSignature=false", "-c", "core.fsmonitor=false", "-c", "diff.external=")
_CHANGES = (
    "--no-merges", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-show-signature", "--no-color", "--numstat", "-z",
    "--no-mailmap", f"--max-count={MAX_COMMITS}", f"--format={_BEGIN}%ct %H %s",
)  # fmt: skip
# The commit that pins a working tree on top of its history is the conductor's, not the project's.
_PIN = "Snapshot of a working tree"


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one commit to one file; binary files have no numbers and are left out."""

    path: str
    added: int
    removed: int


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit that is no merge."""

    time: int
    id: str
    subject: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class History:
    """The commits that were read, newest first, or the reason why there are none."""

    commits: tuple[Commit, ...] = ()
    absence: str = ""


def read_history() -> History:
    """Returns the newest commits, if there is a git and GIT_DIR names a history."""
    output, absence = _ask("log", *_CHANGES)
    commits = tuple(commit for commit in _parse(output) if not commit.subject.startswith(_PIN))
    return History(commits, "" if commits else absence or NO_COMMITS)


def newest_commit() -> int:
    """Returns the time of the newest commit of the project; 0 where there is none."""
    output, _ = _ask("log", "-2", "--no-show-signature", "--no-color", "--format=%ct %s")
    lines = (line.partition(" ") for line in output.split("\n"))
    return next((int(time) for time, _, subject in lines if time.isdigit() and not subject.startswith(_PIN)), 0)


def newest_id() -> str:
    """Returns the newest commit of the project; nothing where there is none."""
    output, _ = _ask("log", "-2", "--no-show-signature", "--no-color", "--format=%H %s")
    lines = (line.partition(" ") for line in output.splitlines())
    return next((commit for commit, _, subject in lines if not subject.startswith(_PIN)), "")


def describe_history() -> str:
    """Returns how many commits came with the snapshot and since when, or why none did."""
    output, absence = _ask("log", "--no-show-signature", "--no-color", "--format=%ct %s")
    times = [
        int(moment)
        for moment, _, subject in (line.partition(" ") for line in output.split("\n"))
        if moment.isdigit() and not subject.startswith(_PIN)
    ]
    if not times:
        return absence or NO_COMMITS
    newest = "the newest " if _is_cut() else ""
    return f"{newest}{len(times):,} commit{'s' * (len(times) > 1)} since {datetime.fromtimestamp(min(times), UTC).year}"


def blame(path: str) -> dict[int, str]:
    """Returns the commit that each line of a file comes from; nothing where git cannot tell."""
    output, _ = _ask("blame", "--porcelain", "-w", "--no-progress", "HEAD", "--", path)
    # Lines of content begin with a tab; that of a line's origin with the commit, then its numbers then and now.
    fields = (line.split(" ") for line in output.split("\n") if not line.startswith("\t"))
    return {
        int(parts[2]): parts[0]
        for parts in fields
        if len(parts) in {3, 4} and len(parts[0]) == 40 and parts[2].isdigit()
    }


@cache
def deletions() -> Mapping[str, str]:
    """Returns the files that the newest commits deleted, each with the commit that did it, as `1a2b3c4 (Move the guide)`."""
    shape = ("--no-merges", "--no-renames", "--no-ext-diff", "--no-show-signature", "--no-color", "--name-only", "-z")
    output, _ = _ask("log", *shape, "--diff-filter=D", f"--max-count={MAX_COMMITS}", f"--format={_BEGIN}%h (%s)")
    found: dict[str, str] = {}
    commit = ""
    for entry in output.split("\0"):
        if entry.startswith(_BEGIN):
            commit = entry.removeprefix(_BEGIN)[:MAX_COMMIT_CHARACTERS]
        elif name := entry.lstrip("\n"):
            found.setdefault(name, commit)
    return found


def _is_cut() -> bool:
    shallow = Path(os.environ.get("GIT_DIR", ""), "shallow")
    return shallow.is_file() and shallow.stat().st_size > 0


def _ask(*arguments: str) -> tuple[str, str]:
    output, absence = ask_git(*arguments)
    return output.decode("utf-8", "surrogateescape"), absence


def ask_git(*arguments: str, most: int = MAX_LOG_BYTES) -> tuple[bytes, str]:
    """Returns the first bytes of what git prints, and why that may be nothing."""
    folder = os.environ.get("GIT_DIR", "")
    program = shutil.which("git", path="/usr/bin:/bin:/usr/local/bin")
    if not folder:
        return b"", "No history was given (GIT_DIR is not set)"
    if program is None:
        return b"", "There is no git program here to read the history with"
    if not Path(folder).is_dir():
        return b"", "GIT_DIR names no folder"
    return _run_git([program, *_QUIET, *arguments], folder, most)


def _run_git(command: list[str], folder: str, most: int) -> tuple[bytes, str]:
    environment = {
        "GIT_DIR": folder,
        "HOME": "/nonexistent",
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        # A clock of the kernel's own ends a git that hangs: reading its pipe then comes to an end.
        previous = signal.signal(signal.SIGALRM, lambda *_: process.kill())
        signal.alarm(GIT_TIMEOUT_SECONDS)
        try:
            output = process.stdout.read(most) if process.stdout else b""
            if len(output) == most:
                process.kill()
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, previous)
        failure = "git could not read the history" if process.wait() and not output else ""
    return output, failure


def _parse(output: str) -> Iterator[Commit]:
    # Every field ends in NUL, and a path is preceded by numbers: no subject can begin another field.
    header, entries = "", list[str]()
    for field in [*output.split("\0"), _BEGIN]:
        if not field.startswith(_BEGIN):
            entries.append(field)
            continue
        moment, _, rest = header.partition(" ")
        identity, _, subject = rest.partition(" ")
        if moment.isdigit():
            yield Commit(int(moment), identity, subject, tuple(_changes(entries)))
        header, entries = field.removeprefix(_BEGIN), []


def _changes(entries: list[str]) -> Iterator[Change]:
    for entry in entries:
        added, _, rest = entry.lstrip("\n").partition("\t")
        removed, _, path = rest.partition("\t")
        if added.isdigit() and removed.isdigit() and path:
            yield Change(path, int(added), int(removed))
