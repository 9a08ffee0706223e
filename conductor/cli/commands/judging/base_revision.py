"""Reads the baseline of a change from the revision that it is compared with: a branch must not dismiss its own findings."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conductor.cli.commands.judging.baseline_file import MAX_BYTES, Entry, parse_baseline, read_baseline
from conductor.cli.text.failure import CommandError
from servicekit.errors import ProgramError
from servicekit.git import GitRunner
from servicekit.printing.page import say

GIT_SECONDS = 30.0
# Nothing of a repository is executed to read one of its files.
_SETTINGS = ("core.fsmonitor=false", "core.hooksPath=/dev/null")


def baseline_of(file: Path, workspace: Path, options: Mapping[str, Any]) -> dict[str, Entry]:
    """Returns the entries that count: those of the base revision where a change is judged and the file lies in its repository."""
    if options["since"] is None and not options["uncommitted"]:
        return read_baseline(file)
    data = asyncio.run(_at_base(file.absolute(), workspace.resolve(), options))
    if data is None:
        return read_baseline(file)
    entries = parse_baseline(data, f"{file} of the base revision") if data else {}
    here = read_baseline(file) if file.exists() else {}
    if added := len(here.keys() - entries.keys()):
        noun = "entry" if added == 1 else "entries"
        told = f"{added} {noun} of {file} not in the base revision, so without effect here"
        say(f"baseline: {told}: they count once they are committed there", err=True)
    return entries


async def _at_base(file: Path, workspace: Path, options: Mapping[str, Any]) -> bytes | None:
    """Returns the file as the base has it, empty where it has none; None where it lies outside of the workspace's repository."""
    git = GitRunner(workspace, _SETTINGS, {"GIT_DIR": None})  # git finds it, also from a folder inside
    top = await _said(git, "rev-parse", "--show-toplevel")
    place = file.parent.resolve() / file.name
    if not top or not place.is_relative_to(top):
        return None
    head = str(options["commit"] or "HEAD")
    since = options["since"]
    # For a revision as `--help` git would start a viewer that the configuration of the repository names.
    base = "HEAD" if since is None else await _said(git, "merge-base", "--end-of-options", str(since), head)
    if not base:
        return b""  # the conductor says why there is no base
    return await _read(git, "cat-file", "blob", f"{base}:{place.relative_to(top)}")


async def _said(git: GitRunner, *arguments: str) -> str:
    return (await _read(git, *arguments)).decode(errors="surrogateescape").strip("\n")


async def _read(git: GitRunner, *arguments: str) -> bytes:
    try:
        answer = await git.run(*arguments, timeout_seconds=GIT_SECONDS, max_output_bytes=MAX_BYTES)
    except ProgramError as error:
        raise CommandError(f"--baseline: git cannot read it from the base revision: {error}") from error
    return answer.stdout if answer.returncode == 0 else b""
