"""Finds what makes a deployment drift or hold too many rights: images without a version, containers as root, open requirements.

Only applications are judged by their requirements: a library leaves versions open on purpose.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from ...files import is_example, is_test, is_vendored
from ..finding import Finding, Severity, cite
from ..reading.snapshot import SourceText
from ..sighting import Rule, Sighting, merge
from ..survey import Survey

FLOATING = Rule(
    "floating-image",
    Severity.LOW,
    "The base image has no version in {path}",
    "{count} images are built on bases without a version",
    "The same commit gives another image next month, at a time that no author chose.",
    "Name a version, or a digest.",
)
ROOT = Rule(
    "root-container",
    Severity.LOW,
    "The service of a container runs as root, by {path}",
    "{count} containers run their service as root",
    "A flaw in the service is then a flaw with root's rights in the container.",
    "Add a USER before the command.",
)
OPEN = Rule(
    "open-requirement",
    Severity.LOW,
    "A requirement of an application has no version in {path}",
    "{count} requirements of an application have no version at all",
    "A deployment tomorrow is not the one that was tested today.",
    "Pin them, or keep a lock file.",
)
_UNROOTED = re.compile(r"nonroot|rootless|unprivileged|\$", re.IGNORECASE)
_SERVES = re.compile(
    r"gunicorn|uvicorn|hypercorn|daphne|\bnode\b|npm|java\b|serve|server|\.jar|celery|flask|rails|puma", re.IGNORECASE
)
_DEVELOPMENT = re.compile(r"dev|test|ci|build|lint|bench|debug|example|e2e|docs", re.IGNORECASE)
_REQUIREMENT = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[^\]]*\])?\s*(#.*|;.*)?$")
_LOCKS = (
    "poetry.lock",
    "uv.lock",
    "Pipfile.lock",
    "pdm.lock",
    "requirements.lock",
    "requirements-lock.txt",
    "constraints.txt",
)
_APPLICATION = (
    "manage.py",
    "Procfile",
    "Dockerfile",
    "app.py",
    "main.py",
    "wsgi.py",
    "docker-compose.yml",
    "compose.yaml",
)
_LIBRARY = ("setup.py", "setup.cfg", "pyproject.toml")


def find_deployment_risks(survey: Survey) -> list[Finding]:
    """Looks through container files and the requirements of applications."""
    return merge("risks", [*_containers(survey), *_requirements(survey)])


def _containers(survey: Survey) -> Iterator[Sighting]:
    for path in survey.snapshot.paths:
        pure = PurePosixPath(path)
        named = pure.name in {"Dockerfile", "Containerfile"} or pure.suffix == ".dockerfile"
        if not named or is_test(path) or is_example(path) or is_vendored(path) or _DEVELOPMENT.search(path):
            continue
        source = survey.snapshot.read(path)
        if source:
            yield from _judge_container(source)


def _judge_container(source: SourceText) -> Iterator[Sighting]:
    stages: set[str] = set()
    base, user, command = "", "", 0
    for number, line in enumerate(source.lines, 1):
        parts = line.split()
        instruction = parts[0].upper() if parts else ""
        if instruction == "FROM" and len(parts) > 1:
            base = next((part for part in parts[1:] if not part.startswith("--")), "")
            user, command = ("stage" if base in stages else ""), 0
            if _floats(base) and base not in stages:
                yield Sighting(FLOATING, cite(source.path, source.lines, number), f"the base is `{base}`")
            stages |= {parts[-1]} if len(parts) > 3 and parts[-2].upper() == "AS" else set()
        elif instruction == "USER":
            user = " ".join(parts[1:])
        elif instruction in {"CMD", "ENTRYPOINT"}:
            command = number if _SERVES.search(line) else command
    if (
        command
        and not _UNROOTED.search(base)
        and user in {"", "root", "0"}
        and not re.search(r"gosu|su-exec|setpriv", source.text)
    ):
        yield Sighting(
            ROOT, cite(source.path, source.lines, command), "the command starts as root, since no USER comes before it"
        )


def _floats(base: str) -> bool:
    if not base or "$" in base or "@" in base or base == "scratch":
        return False
    name = base.rpartition("/")[2]
    return ":" not in name or name.endswith(":latest")


def _requirements(survey: Survey) -> Iterator[Sighting]:
    has = survey.snapshot.has
    source = survey.snapshot.read("requirements.txt")
    if source is None or any(map(has, _LIBRARY)) or any(map(has, _LOCKS)) or not any(map(has, _APPLICATION)):
        return
    for number, line in enumerate(source.lines, 1):
        if _REQUIREMENT.match(line.strip()):
            yield Sighting(OPEN, cite(source.path, source.lines, number), f"`{line.strip()}` may be any version")
