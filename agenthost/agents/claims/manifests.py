"""Finds manifests and other files that documents for contributors name, and that are nowhere in the repository."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from posixpath import basename, dirname

from ..reading.history import deletions
from ..survey.documents.named import may_exist
from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey
from .pages import Page

_MANIFESTS = frozenset(
    {
        *(
            "requirements.txt",
            "requirements-dev.txt",
            "dev-requirements.txt",
            "requirements_dev.txt",
            "test-requirements.txt",
        ),
        *(
            "setup.py",
            "setup.cfg",
            "pyproject.toml",
            "Pipfile",
            "Pipfile.lock",
            "poetry.lock",
            "uv.lock",
            "environment.yml",
        ),
        *(
            "package.json",
            "package-lock.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "tox.ini",
            "noxfile.py",
            "Makefile",
            "Rakefile",
        ),
        *(
            "Cargo.toml",
            "go.mod",
            "pom.xml",
            "build.gradle",
            "build.gradle.kts",
            "composer.json",
            "Gemfile",
            "justfile",
        ),
        *(".pre-commit-config.yaml", ".eslintrc", ".eslintrc.js", ".eslintrc.json", ".flake8", "CODE_OF_CONDUCT.md"),
        *(
            "docker-compose.yml",
            "docker-compose.yaml",
            "Dockerfile",
            ".travis.yml",
            "lerna.json",
            "gulpfile.js",
            "tslint.json",
        ),
    }
)
_INSTALLS = re.compile(r"^\s*(?:[$>]\s+)?(?:python3? -m )?pip3? install\s(?:.*\s)?-r\s*([\w./-]+\.txt)\b")
_SETS_UP = re.compile(r"^\s*(?:[$>]\s+)?python3? (setup\.py) (?:install|develop|test|build_ext)\b")
_PATH = re.compile(r"((?:[\w.-]+/)+[\w.-]*\w\.[A-Za-z]\w{0,5})(?::\d+)?")
_WITH_MEANS = re.compile(
    r"(?i)\b(your|you create|create an?|generated?|no longer|instead of|replac\w+|former\w*|removed?|e\.g\.|example|like|such as"
    r"|would|ignored?|delete[ds]?|or)\b|new file|\bno `"
)


def find_missing_files(survey: Survey, pages: list[Page]) -> Iterator[Finding]:
    """Yields each file that a document for contributors names, and that was deleted, or never was there under that name."""
    names = {basename(path) for path in (*survey.snapshot.paths, *survey.snapshot.left_out)}
    for page in pages:
        for line, name in () if page.is_past else _named(page):
            around = " ".join(page.source.lines[max(line - 2, 0) : line + 1])
            if _WITH_MEANS.search(around) or (name in _MANIFESTS and not page.is_work(line)):
                continue
            if name in _MANIFESTS:
                told = "" if name in names or may_exist(survey.snapshot, name) else "is nowhere in the repository"
            else:
                told = _fate(survey, name, is_work=page.is_work(line))
            if told:
                yield sighting("lens:missing-named-file", cite(page.source, line), f"`{name}` {told}")


def _named(page: Page) -> Iterator[tuple[int, str]]:
    for line, text in page.spans:
        match = _PATH.fullmatch(text.strip())
        if text in _MANIFESTS or match:
            yield line, match[1] if match else text
    for first, kind, code in page.fences:
        if kind in {"", "bash", "sh", "shell", "console", "zsh"} and not re.search(
            r"(?m)^\W*(cd|git clone|pushd)\s", code
        ):
            for line, text in enumerate(code.split("\n"), first):
                if match := _INSTALLS.match(text) or _SETS_UP.match(text):
                    yield line, match[1].removeprefix("./")
                yield from ((line, one[1]) for word in text.split() if (one := _PATH.fullmatch(word)))


def _fate(survey: Survey, name: str, *, is_work: bool) -> str:
    """Returns what became of a file of a tracked folder; empty where it exists, is made by a build, or is not known.

    A document for users may mean their own file by the name of one that was deleted here.
    """
    folder, file = dirname(name), basename(name)
    if folder not in survey.snapshot.folders or may_exist(survey.snapshot, name):
        return ""
    if is_work and (commit := deletions().get(name)):
        return f"does not exist, since {commit} deleted it"
    below = [path for path in survey.snapshot.paths if path.startswith(f"{folder}/")]
    siblings = {basename(path): path for path in below if dirname(path) == folder}
    stem, _, kind = file.rpartition(".")
    found = [path for path in below if basename(path) == file]
    found = found or [path for one, path in siblings.items() if one.rpartition(".")[0] == stem]
    found = found or [siblings[one] for one in get_close_matches(file, siblings, 2, 0.9) if one.endswith(f".{kind}")]
    return f"does not exist; `{found[0]}` does" if len(found) == 1 else ""
