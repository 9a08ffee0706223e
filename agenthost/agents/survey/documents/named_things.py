"""Finds commands and files that a README tells people to use and that the repository does not have.

Only what can be told from the repository alone: a path whose first folder exists, a make target, an npm script, a module of a
package here. A block that changes the folder, or a Makefile that makes up its targets, is left alone.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from ...files import is_test, is_vendored
from ...reading.snapshot import SourceText
from ..delivery.commands import Recipes
from ..finding import Finding, cite, sighting
from ..survey import Survey

MISSING_FILE = "lens:missing-file"
MISSING_COMMAND = "lens:missing-command"
_DOCUMENT = re.compile(
    r"^(readme|contributing|install|development|developing|hacking|building)\b.*\.(md|markdown|rst|txt)$|^readme$",
    re.IGNORECASE,
)
_SOURCE_ENDINGS = re.compile(r"\.(py|sh|js|ts|go|rs|c|h|cpp|java|rb|md|rst|toml|ya?ml|cfg|ini)$")
# A Makefile with such lines has targets that are not written in it.
_MADE_UP = re.compile(
    r"^-?s?include\b|^[^\t#\n=]*%[^\n=]*:|\.DEFAULT:|\$\(eval|^[^\t#\n=]*\$[^\n=]*:(?!=)", re.MULTILINE
)
_CODE_SPAN = re.compile(r"(?<!`)`([\w.-]+(?:/[\w.-]+)+)`(?!`)")
_DEVELOPERS = re.compile(r"contribut|develop|hacking|building", re.IGNORECASE)
_VAGUE = re.compile(r"your|my[-_/]|foo|bar\b|example|xxx|path/to|some|new[-_]|<|>|\*", re.IGNORECASE)


def find_missing_things(survey: Survey) -> Iterator[Finding]:
    """Yields the files and the commands that are not there."""
    for path in survey.snapshot.paths:
        pure = PurePosixPath(path)
        if len(pure.parts) > 2 or not _DOCUMENT.match(pure.name) or is_test(path) or is_vendored(path):
            continue
        source = survey.snapshot.read(path)
        if source:
            yield from _missing_files(survey, source)
            yield from _missing_commands(survey, source)


def _missing_files(survey: Survey, source: SourceText) -> Iterator[Finding]:
    folder = str(PurePosixPath(source.path).parent)
    for number, line in enumerate(source.lines, 1):
        for name in _CODE_SPAN.findall(line):
            top = name.partition("/")[0]
            known = survey.snapshot.has(top) and _SOURCE_ENDINGS.search(name)
            beside = f"{folder}/{name}" if folder != "." else name
            missing = known and not any(map(survey.snapshot.has, (name, beside)))
            if missing and not _VAGUE.search(name) and not _is_made(survey, source, number, name):
                yield sighting(MISSING_FILE, cite(source, number), f"there is no `{name}`")


def _is_made(survey: Survey, source: SourceText, number: int, name: str) -> bool:
    """Returns whether the text may speak of a file that a reader or tool is about to make, or that is ignored on purpose."""
    near = " ".join(source.lines[max(number - 2, 0) : number]).lower()
    if re.search(
        r"\b(creat|generat|add|writ|new|copy|output|produc|build|optional|rename|remov|delet|ignor|was|were|old|used to)",
        near,
    ):
        return True
    ignored = survey.snapshot.read(".gitignore")
    return bool(ignored and PurePosixPath(name).name in ignored.text)


def _missing_commands(survey: Survey, source: SourceText) -> Iterator[Finding]:
    recipes = Recipes(survey.snapshot)
    makefile = survey.snapshot.read("Makefile")
    targets = recipes.targets if makefile and not _MADE_UP.search(makefile.text) else {}
    scripts = recipes.scripts() if _DEVELOPERS.search(source.path) else {}
    for number, command in _commands(source) if "/" not in source.path else ():
        words = command.split()
        problem = ""
        if targets and re.match(r"^make [a-z][\w-]*$", command) and words[1] not in targets:
            problem = f"the Makefile has no target `{words[1]}`"
        elif scripts and re.match(r"^npm run [\w:.-]+$", command) and words[2] not in scripts:
            problem = f"package.json has no script `{words[2]}`"
        elif match := re.match(r"^(?:python3?|bash|sh|node)\s+([\w.-]+(?:/[\w.-]+)+\.(?:py|sh|js|mjs))\b", command):
            exists = survey.snapshot.has(match[1]) or not survey.snapshot.has(match[1].partition("/")[0])
            problem = "" if exists or _VAGUE.search(match[1]) else f"there is no `{match[1]}`"
        if problem:
            yield sighting(MISSING_COMMAND, cite(source, number), problem)


def _commands(source: SourceText) -> Iterator[tuple[int, str]]:
    """Yields the lines of shell blocks, up to the first that goes to another folder."""
    inside = moved = False
    for number, line in enumerate(source.lines, 1):
        fence = re.match(r"^\s*(```|~~~)\s*(\w*)", line)
        if fence:
            inside = not inside and fence[2].lower() in {"", "sh", "shell", "bash", "console", "text", "zsh"}
            moved = False
        elif inside:
            command = re.sub(r"^\s*(?:[$%>]\s+)?|\s*(?:#.*)?$", "", line)
            moved = moved or bool(re.search(r"\b(cd|pushd|git clone|npx|npm (init|create)|docker|ssh)\b", command))
            if command and not moved:
                yield number, command
