"""Reads what the Python projects of a snapshot declare to need at run time, with the line of each. Runs nothing of them."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..files import is_example, is_test, is_vendored
from ..reading.configuration import parse_ini, parse_toml
from ..reading.snapshot import Snapshot

MAX_PROJECTS = 20
MAX_DECLARED = 200
MIN_FROZEN = 12  # so many entries, all of one version each: a program wrote the list
REQUIREMENTS = re.compile(r"(^|/)requirements\.txt$|(^|/)requirements/(default|base|main|common|prod|production)\.txt$")
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*([^;#]*)(;[^#]*)?")


@dataclass(frozen=True, slots=True)
class Declared:
    """A distribution that a project declares. A doubtful one is not needed everywhere, or only its version matters."""

    name: str
    path: str
    line: int
    is_doubtful: bool = False

    @property
    def key(self) -> str:
        """Returns the name as every index compares it."""
        return normal(self.name)


def normal(name: str) -> str:
    """Returns a name with one spelling for all: lower case, and dashes."""
    return re.sub(r"[-_.]+", "-", name).lower()


def projects(snapshot: Snapshot) -> dict[str, list[Declared]]:
    """Returns the projects by folder, each with what it declares: of the first of its files that declares anything."""
    found: dict[str, list[Declared]] = {}
    for path in sorted(snapshot.paths, key=_rank):
        if is_test(path) or is_example(path) or is_vendored(path) or not _is_manifest(path):
            continue
        folder = path.rpartition("/")[0]
        folder = folder.removesuffix("requirements").rstrip("/") if REQUIREMENTS.search(path) else folder
        source = snapshot.read(path)
        if source is not None and folder not in found and (declared := list(_declared(path, source.text))):
            found[folder] = declared[:MAX_DECLARED]
        if len(found) == MAX_PROJECTS:
            break
    return found


def _is_manifest(path: str) -> bool:
    return path.rpartition("/")[2] in {"pyproject.toml", "setup.cfg", "setup.py"} or bool(REQUIREMENTS.search(path))


def _rank(path: str) -> tuple[int, int, str]:
    order = ("pyproject.toml", "setup.cfg", "setup.py")
    name = path.rpartition("/")[2]
    return order.index(name) if name in order else len(order), path.count("/"), path


def _declared(path: str, text: str) -> Iterator[Declared]:
    try:
        if path.endswith("pyproject.toml"):
            yield from _of_pyproject(path, text)
        elif path.endswith("setup.cfg"):
            yield from _of_setup_cfg(path, text)
        elif path.endswith("setup.py"):
            yield from _of_setup_py(path, text)
        else:
            yield from _of_requirements(path, text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return


def _of_pyproject(path: str, text: str) -> Iterator[Declared]:
    told = parse_toml(text)
    for requirement in _list(_table(told, "project").get("dependencies")):
        yield from _parsed(path, _line_of(text, requirement), requirement)
    for name, value in _table(_table(_table(told, "tool"), "poetry"), "dependencies").items():
        if name.lower() != "python":
            yield Declared(name, path, _line_of(text, name, begins=True), _is_doubtful(value))


def _is_doubtful(value: object) -> bool:
    """Returns whether poetry needs it somewhere only, or in one version only."""
    if isinstance(value, dict):
        return bool({"optional", "markers", "python", "platform"} & set(value)) or _is_doubtful(
            value.get("version", "*")
        )
    return not isinstance(value, str) or value[:1].isdigit() or "==" in value


def _of_setup_cfg(path: str, text: str) -> Iterator[Declared]:
    for requirement in parse_ini(text).get("options", "install_requires", fallback="").split("\n"):
        if requirement.strip():
            yield from _parsed(path, _line_of(text, requirement.strip()), requirement)


def _of_setup_py(path: str, text: str) -> Iterator[Declared]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.keyword) and node.arg == "install_requires" and isinstance(node.value, ast.List):
            for one in node.value.elts:
                if isinstance(one, ast.Constant) and isinstance(one.value, str):
                    yield from _parsed(path, one.lineno, one.value)


def _of_requirements(path: str, text: str) -> Iterator[Declared]:
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if re.match(r"\s*[A-Za-z0-9]", line)]
    is_frozen = len(lines) >= MIN_FROZEN and all("==" in line for _, line in lines)
    if is_frozen or "# via" in text or "--hash" in text:
        return
    for number, line in lines:
        yield from _parsed(path, number, line)


def _parsed(path: str, line: int, requirement: str) -> Iterator[Declared]:
    match = _NAME.match(requirement)
    if match and "://" not in requirement and "@" not in requirement:
        # One version and no other: most often that of a package which another one brings.
        yield Declared(match[1], path, line, bool(match[3]) or "==" in match[2])


def _line_of(text: str, value: str, *, begins: bool = False) -> int:
    """Returns the first line where a value stands, or of a key where it begins the line."""
    pattern = rf"(?m)^[ \t]*[\"']?{re.escape(value)}[\"']?\s*=" if begins else re.escape(value)
    match = re.search(pattern, text)
    return text.count("\n", 0, match.start()) + 1 if match else 1


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
