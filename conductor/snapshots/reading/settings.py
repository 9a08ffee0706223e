"""Reads the few settings of git that decide how a working tree is read, out of files that may be hostile.

Git itself reads the files, but only as a list: nothing of it takes effect. The settings of the operator, in whose name this
service runs, hold as they do for the operator's own git; those of the repository win over them. Where only some roots are
allowed, the repository's file is handed to git without its name, so that nothing that it includes is opened.
"""

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conductor.errors import InvalidRequestError, ProgramError, ProgramUnavailableError, Violation
from conductor.snapshots.git import Git
from conductor.snapshots.reading.repository import Repository, read_bytes, real_path
from conductor.snapshots.roots import WorkspaceRoots

CONFIGURATION_SECONDS = 10.0
MAX_CONFIGURATION_BYTES = 1024 * 1024
INCLUDES = "settings that its configuration includes from other files were not read: only some roots are allowed"
EXCLUDES = "ignore rules that its configuration keeps outside the allowed roots were not read"

_KEPT = re.compile(
    "core.(filemode|ignorecase|symlinks|autocrlf|eol|checkstat|trustctime|checkroundtripencoding"
    "|sparsecheckout|sparsecheckoutcone)|extensions.(objectformat|refstorage)"
)
_PLAIN = re.compile(r"[\w ,-]{0,40}", re.ASCII)
_OPERATORS = ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force, by lower-case names, and the file of further ignore rules."""

    values: Mapping[str, str] = field(default_factory=dict)
    excludes: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def trusts_modes(self) -> bool:
        """The executable bit of files has a meaning in this working tree."""
        return self.values.get("core.filemode", "true").lower() not in ("false", "no", "off", "0", "")

    @property
    def has_sha1_names(self) -> bool:
        """Its objects can be copied into a store of SHA-1 names."""
        return self.values.get("extensions.objectformat", "sha1").lower() == "sha1"

    @property
    def has_reftable(self) -> bool:
        """Its refs are in a reftable, which is not read: a view shows refs that are files."""
        return self.values.get("extensions.refstorage", "files").lower() == "reftable"


async def read_settings(repository: Repository, roots: WorkspaceRoots, own_folder: Path) -> Settings:
    """Returns the settings for a repository; `own_folder` is a git folder of ours."""
    operators, owners = await asyncio.gather(_operators(own_folder), _owners(repository, roots, own_folder))
    values = {**operators, **owners}
    notes = []
    if roots.are_given and any(name.startswith(("include.", "includeif.")) for name in owners):
        notes.append(INCLUDES)
    excludes = _excludes(values.get("core.excludesfile"), repository.top)
    if "core.excludesfile" in owners and not roots.contains(real_path(excludes)):
        notes.append(EXCLUDES)
        excludes = _excludes(operators.get("core.excludesfile"), repository.top)
    kept = {name: value for name, value in values.items() if _KEPT.fullmatch(name) and _PLAIN.fullmatch(value)}
    return Settings(kept, excludes, tuple(notes))


async def _operators(own_folder: Path) -> Mapping[str, str]:
    git = Git(own_folder, variables={name: os.environ.get(name) for name in _OPERATORS})
    answer = await git.attempt("config", "--null", "--list", timeout_seconds=CONFIGURATION_SECONDS)
    return _parsed(answer.stdout)


async def _owners(repository: Repository, roots: WorkspaceRoots, own_folder: Path) -> dict[str, str]:
    """Returns the settings of the repository and of its linked work tree."""
    found = await _listed(repository.common_folder / "config", roots, own_folder)
    if found.get("extensions.worktreeconfig", "false").lower() in ("true", "yes", "on", "1"):
        found |= await _listed(repository.git_folder / "config.worktree", roots, own_folder)
    return found


async def _listed(path: Path, roots: WorkspaceRoots, own_folder: Path) -> dict[str, str]:
    content = read_bytes(path, MAX_CONFIGURATION_BYTES, roots)
    if not content:
        return {}
    source = ("--no-includes", "--file", "-") if roots.are_given else ("--includes", "--file", str(path))
    try:
        answer = await Git(own_folder).attempt(
            "config", *source, "--null", "--list", stdin=content, timeout_seconds=CONFIGURATION_SECONDS
        )
    except ProgramUnavailableError:
        raise
    except ProgramError as error:
        text = f"is a repository whose configuration git cannot read: {error}"
        raise InvalidRequestError(Violation("workspace.path", text)) from error
    if answer.returncode:
        text = f"is a repository that git cannot read: {answer.complaint}"
        raise InvalidRequestError(Violation("workspace.path", text))
    return _parsed(answer.stdout)


def _parsed(listing: bytes) -> dict[str, str]:
    """Reads the output of `git config --null --list`. A name without a value means true; the last one counts."""
    records = (os.fsdecode(record).partition("\n") for record in listing.split(b"\0") if record)
    return {name: value if separator else "true" for name, separator, value in records}


def _excludes(named: str | None, top: Path) -> Path:
    """Returns the file of further ignore rules, by git's default where no setting names one."""
    home = os.environ.get("HOME", "/nonexistent")
    if named is None:
        return Path(os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config", "git", "ignore")
    path = named.partition("\0")[0]
    return top / (f"{home}{path[1:]}" if path.startswith("~/") else path)
