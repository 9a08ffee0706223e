"""Finds what configuration and scripts name and the repository does not have: paths, and services of Compose.

Tables say which keys and lines of which files name paths. Of a pattern with wildcards the part before them counts.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from itertools import chain, islice
from posixpath import basename, dirname, join, normpath
from typing import Any

from ...files import is_example, is_test, is_vendored
from ...reading import yaml_tree
from ...reading.history import deletions
from ...reading.snapshot import Snapshot, SourceText
from ..finding import Finding, cite, sighting
from ..survey import Survey

MAX_VALUES = 2000
MAX_COLUMNS = 2000
# Files, and the keys that name paths beside them, from the root where a file is in .github; `bin.*` is each value of `bin`.
_KEYS = (
    (r"(^|/)pyproject\.toml$", "project.readme project.readme.file project.license.file project.license-files.*"),
    (r"(^|/)pyproject\.toml$", "tool.poetry.readme tool.poetry.include.*"),
    (r"(^|/)package\.json$", "bin bin.*"),
    (
        r"(^|/)Cargo\.toml$",
        "package.readme package.license-file package.include.* lib.path bin.*.path bench.*.path example.*.path",
    ),
    (r"(^|/)tsconfig[\w.-]*\.json$", "references.*.path files.*"),
    (r"(^|/)turbo\.json$", "globalDependencies.*"),
    (r"^(docker-)?compose[\w.-]*\.ya?ml$", "services.*.build services.*.build.context"),
    (r"(^|/)devcontainer\.json$", "build.dockerfile dockerFile dockerComposeFile"),
    (r"^\.readthedocs\.ya?ml$", "sphinx.configuration mkdocs.configuration python.install.*.requirements"),
    (r"^\.github/dependabot\.ya?ml$", "updates.*.directory updates.*.directories.*"),
    (r"^\.github/workflows/[^/]+\.ya?ml$", "on.*.paths.*"),
    (r"^\.github/labeler\.ya?ml$", "*.*.changed-files.*.*.* *.*.changed-files.*.*"),
)
_SCRIPT = r"\.(sh|bash|mk)$|(^|/)((GNUm|M|m)akefile|package\.json|tox\.ini)$|^\.github/workflows/[^/]+\.ya?ml$"
_RUNS = r"(?:^|[\s;&|(\"'`@])(?:pip3? install[^|;&#]*? (?:-r|--requirement)|python3?|bash|sh|node|ruby|perl|source|go run)[ =]"
_FILE = r"(?P<file>(?:\./)?[\w.-]+/[\w./-]+\.(?:txt|in|py|sh|bash|[cm]?js|ts|rb|pl|php|go))(?=$|[\s;&|)\"'`])"
# What a tool is told to read its settings from.
_SETTINGS = (
    r"(?:\w\s+(?:-c|--config|--project|--rcfile)[ =]|packer (?:build|validate) )[\"']?"
    r"(?P<file>(?:\./)?(?:[\w.-]+/)*[\w-][\w.-]*\.(?:json|ya?ml|toml|hcl|ini))(?=$|[\s;&|)\"'`])"
)
_COMPOSE = r"docker[ -]compose (?:build|up|start|restart|stop|logs|pull)(?: --?[a-z-]+)* (?P<service>[a-z][\w-]*)\s*$"
# Files, and what of their lines names a path from the root, a file that a command needs, or a service.
_LINES = (
    (r"^\.github/CODEOWNERS$", r"^(?P<path>[\w.-]+/[\w.-][\w./-]*)\s+[@\w]"),
    (r"^(\.github/|docs/)?CODEOWNERS$", r"^(?P<path>/[\w./-]+)\s+[@\w]"),
    (r"^MANIFEST\.in$", r"^include\s+(?P<path>[\w./-]+)\s*$"),
    (r"^\.coveragerc$", r"^\s*(?:omit\s*=\s*)?(?P<path>\w[\w-]*/[\w./-]+)/\*\s*$"),
    (r"^setup\.py$", r"[\"']/(?:tree|blob)/(?:main|master)/(?P<path>[\w./-]+)[\"']"),
    (_SCRIPT, _RUNS + _FILE),
    (r"\.(sh|bash)$|^\.github/workflows/[^/]+\.ya?ml$", r"^\s*(?:-\s+)?(?:run:\s*)?(?=\./)" + _FILE),
    (r"(^|/)((GNUm|M|m)akefile|\.?[jJ]ustfile)$|\.mk$", r"^(?:\t| {2,8})[@-]{0,2}" + _FILE),
    (r"^\.vscode/tasks\.json$", r"^\s*\"command\":\s*\"" + _FILE),
    (_SCRIPT, _SETTINGS),
    (_SCRIPT, _COMPOSE),
)
# What stands behind such a line may run in another folder, or with files from elsewhere.
_MOVES = re.compile(r"\bcd\s|git clone|pushd|--directory|working-directory|\b(wget|curl)\b|compose -f")
_BRINGS = re.compile(r"git clone|\b(wget|curl)\b")
_MAKES = r"(?m)(?:>|\s-o)\s*(?:\./)?{0}(?![\w./-])|^(?:\./)?{0}\s*:"
# What builds and tools make is seldom there.
_MADE = frozenset(["dist", "build", "lib", "out", "target", "generated", "node_modules", "vendor", ".next", ".nuxt"])
# A file that another repository is the origin of: it is changed there, and names what some of its copies lack.
_COPIED = re.compile(
    r"(?im)^\s*(?:#|//)[^\n]*\b(?:synced|synchronized|synchronised|copied) (?:automatically )?from\s+(?:https?://|[\w.-]+/[\w.-]+)"
)
Mention = tuple[SourceText, int, str, str]  # with line, kind and value
_RULES = {"file": "lens:missing-command", "service": "lens:missing-service"}
_COMMENT = re.compile(r"(\"(?:\\.|[^\"\\\n])*\")|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])", re.DOTALL)


def find_missing(survey: Survey) -> Iterator[Finding]:
    """Yields each place that names what is not there."""
    paths = [path for path in survey.snapshot.paths if not (is_vendored(path) or is_test(path) or is_example(path))]
    composed = list(_matching(survey, paths, r"(^|/)(docker-)?compose[\w.-]*\.ya?ml$"))
    services = {name for source in composed for name in _held(_held(_parsed(source)).get("services"))}
    known = services.union(map(basename, survey.snapshot.paths))
    mentions = [_values_in(source, keys) for files, keys in _KEYS for source in _matching(survey, paths, files)]
    mentions += [_lines_in(source, pattern) for files, pattern in _LINES for source in _matching(survey, paths, files)]
    for source, number, kind, value in chain.from_iterable(mentions):
        if _COPIED.search(source.text[:MAX_COLUMNS]):
            continue
        folder = dirname(source.path) if kind == "key" and not source.path.startswith(".github/") else ""
        is_known = kind != "key" and basename(value.rstrip("/")) in known
        if not is_known and (services if kind == "service" else not _stands(survey.snapshot, value, folder)):
            rule = _RULES.get(kind, "lens:missing-configured-path")
            what = kind if kind in {"file", "service"} else "file or folder"
            commit = deletions().get(normpath(value)) if kind == "file" else ""
            since = f", since {commit} deleted it" if commit else ""
            title = f"there is no {what} `{value}`, which {source.path} names{since}"
            yield sighting(rule, cite(source, number), title)


def _values_in(source: SourceText, keys: str) -> Iterator[Mention]:
    content = _parsed(source)
    values = (value for key in keys.split() for value in _values(content, key.split(".")))
    for value in islice(dict.fromkeys(values), MAX_VALUES):
        yield source, next((number for number, line in enumerate(source.lines, 1) if value in line), 0), "key", value


def _lines_in(source: SourceText, pattern: str) -> Iterator[Mention]:
    is_recipe = source.path.lower().endswith(("makefile", ".mk", "justfile"))
    for number, line in enumerate(source.lines, 1):
        if _MOVES.search(line[:MAX_COLUMNS]):
            if is_recipe and not _BRINGS.search(line[:MAX_COLUMNS]):  # each of its lines has a shell of its own
                continue
            return
        goes_on = number > 1 and source.lines[number - 2].endswith("\\")  # so it may begin with an argument
        is_told = not (line.lstrip().startswith("#") or (goes_on and pattern.startswith("^")))
        match = re.search(pattern, line[:MAX_COLUMNS]) if is_told else None
        if match and not re.search(_MAKES.format(re.escape(match[1].removeprefix("./"))), source.text):
            yield source, number, str(match.lastgroup), match[1]


def _matching(survey: Survey, paths: list[str], files: str) -> Iterator[SourceText]:
    found = (path for path in paths if re.search(files, path) and not survey.is_late())
    return (source for path in found if (source := survey.snapshot.read(path)))


def _stands(snapshot: Snapshot, value: str, folder: str) -> bool:
    """Returns whether a value names no path, or one that may exist."""
    path = re.sub(r"[^/]*[*?\[{!(].*", "", value).rstrip("/")
    if not re.fullmatch(r"\.{0,2}[\w/][\w./+-]*", path) or "://" in value:
        return True
    inside = normpath(path.lstrip("/"))
    # A pattern may be written for any of several folders of that name.
    is_pattern = path != value.rstrip("/") and any(f"/{basename(inside)}/" in known for known in snapshot.paths)
    return is_pattern or may_exist(snapshot, normpath(join(folder, inside)))


def may_exist(snapshot: Snapshot, path: str) -> bool:
    """Returns whether a path exists, is made by a build or ignored by git, or lies in a folder that was not walked into."""
    if path in {"", "."} or path.startswith("..") or snapshot.has(path):
        return True
    parts = path.split("/")
    parents = ["/".join(parts[:count]) for count in range(len(parts))]
    ignored = set(_MADE)
    for folder in parents:
        source = snapshot.read(join(folder, ".gitignore"))
        for line in source.lines if source else ():
            name = re.sub(r"(/\*+)+$", "", line.strip()).strip("/")  # `src/**` is all of `src`
            ignored.update((name, join(folder, name)) if name else ())
    nearest = next((folder for folder in parents[:0:-1] if snapshot.has(folder)), "")
    return bool(nearest and snapshot.is_opaque(nearest)) or not ignored.isdisjoint((path, *parents[1:], *parts))


def _values(content: Any, keys: list[str]) -> Iterator[str]:
    if not keys and isinstance(content, str):
        yield content
    held = _held(content)
    for key in () if not keys else held if keys[0] == "*" else keys[:1]:
        yield from _values(held.get(key), keys[1:])


def _held(content: Any) -> dict[Any, Any]:
    return content if isinstance(content, dict) else dict(enumerate(content)) if isinstance(content, list) else {}


def _parsed(source: SourceText) -> Any:
    try:
        if source.path.endswith(".toml"):
            return tomllib.loads(source.text)
        if source.path.endswith(".json"):
            return json.loads(_COMMENT.sub(lambda match: match[1] or "", source.text))
    except (ValueError, RecursionError):
        return None
    return yaml_tree.plain(yaml_tree.parse(source.text))
