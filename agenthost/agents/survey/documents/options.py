"""Finds options that the README shows for the project's own command and that no text of the project knows.

Careful on purpose: the command must be declared by the project, and the option's name must occur nowhere outside the documents,
in any spelling that option parsers derive names from.
"""

import re
from collections.abc import Iterator

from ...files import is_code, is_example, is_vendored
from ..finding import Finding, Severity, cite
from ..sighting import Rule, Sighting, merge
from ..survey import Survey

UNKNOWN = Rule(
    "lens:unknown-option",
    Severity.MEDIUM,
    "An option that the text shows is known to no code",
    "{count} options that the text shows are known to no code",
    "The command fails as it is printed.",
    "Correct the text, or bring the option back.",
)
_SCRIPT = re.compile(r"^[\"']?([A-Za-z][\w-]*)[\"']?\s*=\s*[\"'][\w.]+:[\w.]+[\"']")
_OPTION = re.compile(r"(?<=\s)--([a-z][a-z0-9]+(?:-[a-z0-9]+)*)(?=[\s=]|$)")
_CODE_ENDINGS = (".toml", ".cfg", ".json", ".yaml", ".yml")


def find_unknown_options(survey: Survey) -> list[Finding]:
    """Returns the options of commands that pyproject.toml declares."""
    return merge("docs", _sightings(survey))


def _sightings(survey: Survey) -> Iterator[Sighting]:
    commands = _commands(survey)
    readme = survey.snapshot.read("README.md") or survey.snapshot.read("README.rst")
    if not commands or readme is None:
        return
    own = re.compile(rf"^\s*(?:[$%>]\s+)?(?:{'|'.join(map(re.escape, commands))})\s[^|;&>]*")
    shown = {
        option: number
        for number, line in reversed(list(enumerate(readme.lines, 1)))
        if (match := own.match(line))
        for option in _OPTION.findall(match.group())
    }
    wanted = {option: number for option, number in shown.items() if option not in {"help", "version"}}
    for option, number in sorted(_unknown(survey, wanted).items(), key=lambda item: item[1]):
        yield Sighting(UNKNOWN, cite(readme.path, readme.lines, number), f"nothing knows `--{option}`")


def _commands(survey: Survey) -> list[str]:
    source = survey.snapshot.read("pyproject.toml")
    found: list[str] = []
    inside = False
    for line in source.lines if source else ():
        if line.startswith("["):
            inside = line.strip() in {"[project.scripts]", "[tool.poetry.scripts]"}
        elif inside and (match := _SCRIPT.match(line)):
            found.append(match[1])
    return found


def _unknown(survey: Survey, wanted: dict[str, int]) -> dict[str, int]:
    unknown = dict(wanted)
    for path in survey.snapshot.paths if unknown else ():
        if is_example(path) or is_vendored(path) or not (is_code(path) or path.endswith(_CODE_ENDINGS)):
            continue
        source = survey.snapshot.read(path)
        for option in [name for name in unknown if source and _mentions(source.text, name)]:
            del unknown[option]
    return unknown


def _mentions(text: str, option: str) -> bool:
    bare = option.removeprefix("no-")
    return any(spelling in text for spelling in {option, option.replace("-", "_"), bare, bare.replace("-", "_")})
