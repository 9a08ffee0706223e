"""Finds npm packages that only work in one version together, and that a package.json asks for in different major versions."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from ..delivery.commands import Recipes
from ..finding import Finding, Severity, cite
from ..sighting import Rule, Sighting, merge
from ..survey import Survey

APART = Rule(
    "lens:mismatched-packages",
    Severity.LOW,
    "Packages that belong together are asked for in different major versions",
    "{count} packages are asked for in another major version than the one that they belong to",
    "They are released together and check for each other: what is installed fails, or runs with two copies of the other.",
    "Give them the same version.",
)
# The leading package, and those that follow its version.
_FAMILIES = (
    ("vitest", re.compile(r"^@vitest/(?!eslint-plugin)")),
    ("react", re.compile(r"^react-(?:dom|test-renderer)$")),
    ("prisma", re.compile(r"^@prisma/client$")),
    ("@angular/core", re.compile(r"^@angular/(?:common|compiler|forms|router|platform-browser|animations)$")),
    ("storybook", re.compile(r"^@storybook/(?:react|vue3|addon-links|addon-docs|react-vite|nextjs)$")),
    ("jest", re.compile(r"^(?:babel-jest|jest-environment-jsdom)$")),
    ("@typescript-eslint/parser", re.compile(r"^@typescript-eslint/eslint-plugin$")),
    ("next", re.compile(r"^(?:eslint-config-next|@next/.*)$")),
    ("@nestjs/core", re.compile(r"^@nestjs/(?:common|testing|platform-express)$")),
    ("vue", re.compile(r"^@vue/(?:compiler-sfc|server-renderer)$")),
)
_EXACT = re.compile(r"^[~^=v]?(?P<major>\d+)(?:\.\d+)*$")


def find_mismatched(survey: Survey) -> list[Finding]:
    """Returns the packages of each package.json that are apart."""
    return merge("docs", _sightings(survey))


def _sightings(survey: Survey) -> Iterator[Sighting]:
    for folder, content in Recipes(survey.snapshot).packages.items():
        source = survey.snapshot.read(str(PurePosixPath(folder) / "package.json"))
        asked = {
            name: version
            for part in ("dependencies", "devDependencies")
            for name, version in (content[part].items() if isinstance(content.get(part), dict) else ())
            if isinstance(version, str)
        }
        for leader, followers in _FAMILIES:
            first = _EXACT.match(asked.get(leader, ""))
            for name, version in asked.items() if first and source else ():
                other = _EXACT.match(version) if followers.match(name) else None
                if source and first and other and other["major"] != first["major"]:
                    number = next((at for at, line in enumerate(source.lines, 1) if f'"{name}"' in line), 1)
                    detail = f"`{name}` is asked for as {version}, and `{leader}` as {asked[leader]}"
                    yield Sighting(APART, cite(source.path, source.lines, number), detail)
