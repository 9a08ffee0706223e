"""Reads the history with git: which commits changed which files, newest first, within bounds.

Git is told to run nothing on its own (no pager, no hooks, no textconv, no external diff) and to read no configuration but the
repository's. Without a git program or a GIT_DIR there is no history, and `absence` says why.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_COMMITS = 4000
MAX_LOG_BYTES = 48_000_000
GIT_TIMEOUT_SECONDS = 60
_BEGIN = "\x01"
_ARGUMENTS = (
    *("--no-pager", "-c", "log.showSignature=false", "-c", "core.fsmonitor=false", "-c", "diff.external=", "log"),
    *(
        "--no-merges",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
        "--no-show-signature",
        "--no-color",
        "--numstat",
        "-z",
    ),
    *("--no-mailmap", f"--max-count={MAX_COMMITS}", f"--format={_BEGIN}%ct %s"),
)


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
    subject: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class History:
    """The commits that were read, newest first, or the reason why there are none."""

    commits: tuple[Commit, ...] = ()
    absence: str = ""


def read_history() -> History:
    """Asks git, if there is one and GIT_DIR names a history."""
    folder = os.environ.get("GIT_DIR", "")
    program = shutil.which("git", path="/usr/bin:/bin:/usr/local/bin")
    if not folder:
        return History(absence="No history was given (GIT_DIR is not set)")
    if program is None:
        return History(absence="There is no git program here to read the history with")
    if not Path(folder).is_dir():
        return History(absence="GIT_DIR names no folder")
    output, failure = _run_git(program, folder)
    commits = tuple(_parse(output))
    return History(commits, "" if commits else failure or "The history has no commits")


def _run_git(program: str, folder: str) -> tuple[str, str]:
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
        [program, *_ARGUMENTS],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        # A clock of the kernel's own ends a git that hangs: reading its pipe then comes to an end.
        previous = signal.signal(signal.SIGALRM, lambda *_: process.kill())
        signal.alarm(GIT_TIMEOUT_SECONDS)
        try:
            output = process.stdout.read(MAX_LOG_BYTES) if process.stdout else b""
            if len(output) == MAX_LOG_BYTES:
                process.kill()
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, previous)
    return output.decode("utf-8", "surrogateescape"), "git could not read the history"


def _parse(output: str) -> Iterator[Commit]:
    # Every field ends in NUL, and a path is preceded by numbers: whatever a subject holds, it can begin no other field.
    header, entries = "", list[str]()
    for field in [*output.split("\0"), _BEGIN]:
        if not field.startswith(_BEGIN):
            entries.append(field)
            continue
        moment, _, subject = header.partition(" ")
        if moment.isdigit():
            yield Commit(int(moment), subject, tuple(_changes(entries)))
        header, entries = field.removeprefix(_BEGIN), []


def _changes(entries: list[str]) -> Iterator[Change]:
    for entry in entries:
        added, _, rest = entry.lstrip("\n").partition("\t")
        removed, _, path = rest.partition("\t")
        if added.isdigit() and removed.isdigit() and path:
            yield Change(path, int(added), int(removed))
