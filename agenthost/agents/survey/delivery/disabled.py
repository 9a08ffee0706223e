"""Finds checks that were switched off by a comment sign, and pipelines of a system that the repository has left."""

import re
from collections.abc import Iterator

from ..finding import Severity, cite
from ..sighting import Rule, Sighting
from ..survey import Survey
from .pipelines import Pipeline
from .unfailing import CHECK

COMMENTED = Rule(
    "lens:disabled-check",
    Severity.LOW,
    "A part of the checks is commented out",
    "{count} parts of the checks are commented out",
    "Nothing looks at what it covered, and no reader can tell whether it is to come back.",
    "Bring it back, or delete it with a word on why.",
)
LEFT = Rule(
    "lens:leftover-pipeline",
    Severity.LOW,
    "A pipeline of Travis CI is left over beside GitHub workflows",
    "{count} pipelines of Travis CI are left over beside GitHub workflows",
    "No document shows its result, and what it says of versions and checks misleads readers.",
    "Delete it, after moving what the workflows lack.",
)
_PLATFORM = re.compile(r"^\s*#\s*-\s*(?P<what>(?:windows|macos|ubuntu)-[\w.]+)\s*$", re.IGNORECASE)
_COMMAND = re.compile(r"^\s*#\s*(?:-\s*)?(?:run:\s*)?(?P<what>[a-z].*)$")
_RECIPE = re.compile(r"^\t\s*@?#\s*(?P<what>[a-z].*)$")
_ARGUMENT = re.compile(r"\s(?:--?\w|\$|\.|\w+/)")


def find_disabled(survey: Survey, pipelines: list[Pipeline]) -> Iterator[Sighting]:
    """Yields each platform and check that a comment sign keeps from running, and a pipeline that nobody reads."""
    makefile = survey.snapshot.read("Makefile")
    for source in (*(item.source for item in pipelines), *([makefile] if makefile else [])):
        for number, line in enumerate(source.lines, 1):
            platform = _PLATFORM.match(line) if source is not makefile else None
            command = (_RECIPE if source is makefile else _COMMAND).match(line)
            # A sentence may begin with the name of a tool: a command has arguments.
            check = command and CHECK.match(command["what"]) and _ARGUMENT.search(command["what"])
            if match := platform or (command if check else None):
                yield Sighting(
                    COMMENTED, cite(source.path, source.lines, number), f"`{match['what'][:60]}` is commented out"
                )
    travis = survey.snapshot.read(".travis.yml")
    readmes = [path for path in survey.snapshot.paths if "/" not in path and path.lower().startswith("readme")]
    shown = any("travis-ci" in readme.text for readme in map(survey.snapshot.read, readmes) if readme)
    if (
        travis
        and not shown
        and any(item.system == "GitHub" and {"push", "pull_request"} & item.triggers for item in pipelines)
    ):
        number = next((at for at, line in enumerate(travis.lines, 1) if re.match(r"\w", line)), 1)
        yield Sighting(
            LEFT, cite(travis.path, travis.lines, number), f"{travis.path} is there, and no README shows its result"
        )
