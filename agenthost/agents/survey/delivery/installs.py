"""Finds installs in pipelines that a lock file stands beside, and that do not hold to it.

pnpm and Yarn from 2 on freeze in CI by themselves and are not judged.
"""

import posixpath
import re
from collections.abc import Iterator

from ...reading.snapshot import Snapshot
from ..finding import Finding, cite, sighting
from .commands import Recipes, simple
from .pipelines import Command, Pipeline

UNFROZEN = "lens:unfrozen-install"
_NPM = re.compile(r"^npm (?:install|i)(?:\s+--?[\w-]+(?:=\S+)?)*$")
_YARN = re.compile(r"^yarn(?: install)?(?:\s+--?[\w-]+(?:=\S+)?)*$")
_FROZEN = re.compile(r"--(?:frozen-lockfile|immutable|package-lock-only|version|global)\b|\s-g\b|-v$")
_RENEWING = re.compile(r"updat|upgrad|dependenc|bump|renovate", re.IGNORECASE)
_CHANGE = re.compile(r"^(?:cd|pushd)\s+[\"']?(?P<folder>[\w./-]+)[\"']?$")


def find_unfrozen(pipeline: Pipeline, recipes: Recipes, snapshot: Snapshot) -> Iterator[Finding]:
    """Yields each install that a lock file stands beside and that does not hold to it."""
    for job in pipeline.jobs:
        # A job that renews dependencies is to change the lock file.
        for step in job.steps if not _RENEWING.search(f"{pipeline.source.path} {job.name}") else ():
            folder = step.folder
            for command in step.commands:
                for part in simple(command.text):
                    if match := _CHANGE.match(part):
                        folder = posixpath.normpath(posixpath.join(folder, match["folder"]))
                    elif lock := _ignored_lock(part.rstrip(") "), folder.strip("."), recipes, snapshot):
                        yield _sighting(pipeline, command, job.name, part, lock)


def _sighting(pipeline: Pipeline, command: Command, job: str, part: str, lock: str) -> Finding:
    place = cite(pipeline.source, command.line)
    return sighting(UNFROZEN, place, f"job `{job}` runs `{part.rstrip(') ')}` although there is {lock}")


def _ignored_lock(part: str, folder: str, recipes: Recipes, snapshot: Snapshot) -> str:
    """Returns the lock file that an install does not hold to; empty for any other command."""
    if _FROZEN.search(part):
        return ""
    for pattern, names in ((_NPM, ("package-lock.json", "npm-shrinkwrap.json")), (_YARN, ("yarn.lock",))):
        if pattern.match(part):
            places = [f"{place}/{name}".lstrip("/") for place in (folder, "") for name in names]
            lock = next((place for place in places if place in snapshot.sizes), "")
            return lock if names[0] != "yarn.lock" or not _is_modern_yarn(lock, recipes, snapshot) else ""
    return ""


def _is_modern_yarn(lock: str, recipes: Recipes, snapshot: Snapshot) -> bool:
    folder = lock.rpartition("/")[0]
    manager = str(recipes.packages.get(folder, {}).get("packageManager", ""))
    source = snapshot.read(lock)
    berry = source is not None and "__metadata:" in source.text[:2000]
    return berry or manager.startswith(("yarn@2", "yarn@3", "yarn@4", "yarn@5"))
