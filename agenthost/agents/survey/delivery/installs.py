"""Finds installs in pipelines that run what nobody has seen: beside the lock file, or straight from the network beside secrets.

pnpm and Yarn from 2 on freeze in CI by themselves and are not judged.
"""

import posixpath
import re
from collections.abc import Iterator

from ...reading.snapshot import Snapshot
from ...reading.yaml_tree import last_line
from ..finding import Severity, cite
from ..sighting import Rule, Sighting
from .commands import Recipes, simple
from .pipelines import Command, Pipeline

UNFROZEN = Rule(
    "lens:unfrozen-install",
    Severity.LOW,
    "CI installs without holding to the lock file",
    "{count} installs in CI do not hold to the lock file",
    "Use `npm ci`, or `yarn install --frozen-lockfile`.",
)
PIPED = Rule(
    "lens:piped-installer",
    Severity.MEDIUM,
    "A script from the network is run in a job that holds secrets",
    "{count} scripts from the network are run in jobs that hold secrets",
    "Install a pinned version with a checksum, or use the vendor's action at a commit.",
)
_PIPED = re.compile(
    r"\b(?:curl|wget)\b[^|;&]*\|\s*(?:sudo\s+)?(?:-\w+\s+)?(?:\w+=\S+\s+)*(?:ba|z|da)?sh\b|\b(?:ba|z)?sh\s+<\(\s*(?:curl|wget)\b"
    r"|\bsh\s+-c\s+[\"']?\$\((?:curl|wget)\b"
)
_SECRET = re.compile(r"\bsecrets\.(?!GITHUB_TOKEN\b)\w+")
# The one installer that a language has.
_USUAL = re.compile(r"sh\.rustup\.rs|get-ghcup|install\.haskellstack|install\.determinate\.systems")
_NPM = re.compile(r"^npm (?:install|i)(?:\s+--?[\w-]+(?:=\S+)?)*$")
_YARN = re.compile(r"^yarn(?: install)?(?:\s+--?[\w-]+(?:=\S+)?)*$")
_FROZEN = re.compile(r"--(?:frozen-lockfile|immutable|package-lock-only|version|global)\b|\s-g\b|-v$")
_RENEWING = re.compile(r"updat|upgrad|dependenc|bump|renovate", re.IGNORECASE)
_CHANGE = re.compile(r"^(?:cd|pushd)\s+[\"']?(?P<folder>[\w./-]+)[\"']?$")


def find_unfrozen(pipeline: Pipeline, recipes: Recipes, snapshot: Snapshot) -> Iterator[Sighting]:
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


def find_piped(pipeline: Pipeline) -> Iterator[Sighting]:
    """Yields each script that a job with secrets fetches and runs in one go."""
    if pipeline.system != "GitHub":
        return
    for job in pipeline.jobs:
        lines = pipeline.source.lines[job.line - 1 : last_line(job.node)]
        names = sorted({match.group() for line in lines for match in _SECRET.finditer(line.partition(" #")[0])})
        for command in (item for step in job.steps for item in step.commands) if names else ():
            if _PIPED.search(command.text) and not _USUAL.search(command.text):
                place = cite(pipeline.source, command.line)
                yield Sighting(PIPED, place, f"job `{job.name}` runs it and has `{names[0]}`")


def _sighting(pipeline: Pipeline, command: Command, job: str, part: str, lock: str) -> Sighting:
    place = cite(pipeline.source, command.line)
    return Sighting(UNFROZEN, place, f"job `{job}` runs `{part.rstrip(') ')}` although there is {lock}")


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
