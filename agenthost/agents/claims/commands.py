"""Finds commands of documents that no file of their runner knows: `make X`, `npm run X`, `just X`, `tox -e X`, `nox -s X`.

A name counts as known where any file of the runner has the word at all: targets are also made by patterns, loops and includes.
"""

import re
from collections.abc import Iterator
from posixpath import basename
from typing import NamedTuple

from ..files import is_vendored
from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey
from .pages import Page

_SHELLS = frozenset(["", "bash", "sh", "shell", "console", "zsh", "shell-session", "shellsession", "text", "terminal"])
_NAME = r"([A-Za-z][\w:.-]*)"
_END = r"(?=\s*(?:$|[;#]|&&|--\s))"


class _Runner(NamedTuple):
    call: re.Pattern[str]
    files: re.Pattern[str]
    what: str
    generated: re.Pattern[str]  # what a file holds, or is called, where names are made elsewhere


_RUNNERS = (
    _Runner(
        re.compile(rf"make {_NAME}(?:\s+[A-Z_]+=\S+)*{_END}"),
        re.compile(r"(?i)(^|/)(gnu)?makefile[\w.-]*$|\.(mk|mak|make)$"),
        "target",
        re.compile(r"(?m)^[^#\s:=]*%[^:=]*:|^[^#\t:=]*\$[({][^:=]*:(?!=)|\$\(eval|^-?s?include\s.*(https?:|\$\()"),
    ),
    _Runner(
        re.compile(rf"(?:npm|pnpm|yarn) run {_NAME}{_END}"),
        re.compile(r"(^|/)package\.json$"),
        "script",
        re.compile(r"(?!)"),
    ),
    _Runner(
        re.compile(rf"just {_NAME}{_END}"),
        re.compile(r"(?i)(^|/)\.?justfile$|\.just$"),
        "recipe",
        re.compile(r"(?m)^(import|mod)\b"),
    ),
    _Runner(
        re.compile(rf"(?:python3? -m )?tox -e {_NAME}{_END}"),
        re.compile(r"(^|/)(tox\.(ini|toml)|setup\.cfg|pyproject\.toml)$"),
        "environment",
        re.compile(r"(?!)"),
    ),
    _Runner(
        re.compile(rf"(?:python3? -m )?nox (?:-s|--session) {_NAME}{_END}"),
        re.compile(r"(^|/)noxfile\.py$"),
        "session",
        re.compile(r"nox\.load|importlib|import_module"),
    ),
)
# A build that writes its own makefiles.
_CONFIGURED = re.compile(
    r"(^|/)(CMakeLists\.txt|configure(\.ac|\.in)?|Makefile\.(am|in|PL)|meson\.build|SConstruct|Imakefile)$"
)
_PYTHON = re.compile(r"py(py)?\d*|lint|flake8|.*[{},*].*")  # environments that tox has without being told
_COMMENT = re.compile(r"(?m)^[^\S\n]*(#|@?echo\b).*")
_MOVES = re.compile(r"(^|[\s;&(])(cd|pushd|git clone|cookiecutter|npx create|npm (init|create)|rails new)\s")
_ELSEWHERE = re.compile(
    r"(?i)\b(your|own|their|another|new) (project|repo\w*|app\w*|package|makefile|package\.json|fork)|\bwill be\b"
    r"|\bno longer\b|removed|instead of"
)


def find_unknown_commands(survey: Survey, pages: list[Page]) -> Iterator[Finding]:
    """Yields each command of a document that its runner would refuse."""
    paths = [path for path in survey.snapshot.paths if not is_vendored(path)]
    for runner in _RUNNERS:
        files = [path for path in paths if runner.files.search(path)]
        sources = [source for path in files if (source := survey.snapshot.read(path))]
        if not any("/" not in path for path in files) or len(sources) < len(files):
            continue
        if runner.what == "target" and any(map(_CONFIGURED.search, paths)):
            continue
        words = {word for source in sources for word in re.findall(r"[\w:.-]+", _COMMENT.sub("", source.text))}
        words |= {word.strip(":") for word in words} | {basename(path) for path in paths}
        if any(runner.generated.search(source.text) for source in sources):
            continue
        for page in pages:
            for line, name, command in _calls(page, runner):
                if name not in words and not (runner.what == "environment" and _PYTHON.fullmatch(name)):
                    told = f"`{command}`: there is no {runner.what} `{name}`"
                    yield sighting("lens:unknown-command", cite(page.source, line), told)


def _calls(page: Page, runner: _Runner) -> Iterator[tuple[int, str, str]]:
    """Yields the commands for people who work on the project, each with its line and the name in it."""
    if page.is_past:
        return
    found = [(line, text) for line, text in page.spans]
    for first, kind, code in page.fences:
        if kind in _SHELLS and not _MOVES.search(code):
            found += enumerate(code.split("\n"), first)
    for line, text in found:
        command = re.sub(r"^\s*(?:[$%>#]\s+)?", "", text)
        match = runner.call.match(command)
        around = " ".join(page.source.lines[max(line - 2, 0) : line + 1])
        if match and page.is_work(line) and not _ELSEWHERE.search(around):
            yield line, match[1], match[0]
