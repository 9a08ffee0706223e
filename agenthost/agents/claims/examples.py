"""Finds examples in Python that do not parse, or that use a name which the repository's own package does not have."""

import ast
import re
from collections.abc import Iterator
from textwrap import dedent, indent

from ..reading.python_source import parse
from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey
from .pages import Page

_LANGUAGES = frozenset(["python", "py", "python3"])
# Transcripts, fragments with a hole in them, templates, notes of what changes, and the syntax of newer interpreters.
_NO_CODE = re.compile(
    r"(?m)>>>|^\s*\.\.\.\s*\S|\.\.\.\s*[\w\"'(]|^\s*\$|\$\{?\w|^[+-]|^\s*[%!?]|\{%|\{\{|<[\w ./-]+>|\u2026|^\s*-{3,}|^In \[|\w\?$"
    r"|^\s*type \w+.*=|\b(?:def|class) \w+\[|\bt[\"']|f[\"'].*\{[^}]*[\"']|^\s*(?:from __future__|print )|^\s*except [\w.]+,"
)
_CODE = re.compile(r"(?m)^[^\S\n]*(?:import|from|def|class|async|return|for|with|if)\b|\w\(")
_OLD = re.compile(r"(?m)^[^\S\n]*(?:print\s+[^(=\s]|exec\s+[\"']|raise \w+,)")
# Names that only running a module shows: at its own level, or with a helper for late imports.
_HIDDEN = re.compile(
    r"(?m)^(?:async )?def __getattr__|^[^\S\n]*globals\(\)|sys\.modules\[|\bsetattr\((?:sys|mod)|lazy_|_lazy|Lazy|\b__path__"
)
# In code that parses, three dots are a value; in a signature, or beside another argument, they stand for what is left out.
_HOLE = re.compile(r"[\w\]]\s*,\s*\.\.\.|\(\s*\.\.\.\s*\)\s*(?:->.*)?:|^\s*case\b.*:\s*$", re.MULTILINE)
# What teaches agents, and plans: their examples are sketches.
_SKETCHES = re.compile(
    r"(?i)(^|/)(\.[\w-]+|skills?|agents?|claude|prompts?|rfcs?|proposals?|adrs?|design|plans?)(/|\.md$)"
)
MAX_SHARE = 0.1  # of the examples of a repository that do not parse, beyond which they are sketches, too
MIN_SKETCHES = 6
_CALLS = 2  # levels of modules that an import of all names is followed through


def find_broken_examples(survey: Survey, pages: list[Page]) -> Iterator[Finding]:
    """Yields the examples that fail before they start."""
    bound = dict(_packages(survey))
    examples, broken = 0, list[Finding]()
    for page in pages:
        for first, kind, code in page.fences if not (page.is_past or _SKETCHES.search(page.source.path)) else ():
            tree = _parsed(code) if kind in {*_LANGUAGES, ""} else ast.Module([], [])
            examples += kind in _LANGUAGES
            if not isinstance(tree, SyntaxError):
                for line, name, of in _unknown(tree, bound):
                    told = f"the example uses `{of}.{name}`, which `{of}` does not have"
                    yield sighting("lens:broken-example", cite(page.source, first + line - 2), told)
            elif kind and _is_code(code):
                line = first + min(max((tree.lineno or 2) - 2, 0), code.count("\n"))
                told = f"the example does not parse: {tree.msg}"
                broken.append(sighting("lens:broken-example", cite(page.source, line), told))
    if len(broken) < MIN_SKETCHES or len(broken) <= examples * MAX_SHARE:
        yield from broken


def _is_code(code: str) -> bool:
    """Returns whether an example is meant to be run as it stands."""
    return bool(_CODE.search(code)) and not any(shape.search(code) for shape in (_NO_CODE, _OLD, _HOLE))


def _parsed(code: str) -> ast.Module | SyntaxError:
    """Parses an example, in which `await` and `return` may stand outside of a function."""
    try:
        return ast.parse("async def example():\n" + indent(dedent(code), " ") + "\n pass\n")
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _unknown(tree: ast.Module, bound: dict[str, set[str]]) -> Iterator[tuple[int, str, str]]:
    """Yields the names that a package does not have, with their lines."""
    nodes = list(ast.walk(tree))
    imported = {
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names if not alias.asname
    }
    assigned = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and not node.level and node.module in bound:
            for alias in node.names:
                if alias.name not in bound[node.module] | {"*"}:
                    yield node.lineno, alias.name, node.module
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and isinstance(node.ctx, ast.Load):
            name = node.value.id
            is_package = name in imported and name not in assigned and name in bound
            if is_package and node.attr not in bound[name] and not node.attr.startswith("__"):
                yield node.lineno, node.attr, name


def _packages(survey: Survey) -> Iterator[tuple[str, set[str]]]:
    """Yields the packages of the repository, with the names they bind, where all of these can be read."""
    for path in survey.snapshot.paths:
        if match := re.fullmatch(r"((?:src/)?([a-z]\w*))/__init__\.py", path):
            names = _bound(survey, match[1], "__init__", _CALLS)
            if names and match[2] not in {"tests", "test", "docs", "examples", "src", "scripts"}:
                yield match[2], names


def _bound(survey: Survey, folder: str, module: str, levels: int) -> set[str] | None:
    """Returns the names that a module of a package binds; None where it makes them in ways that only running it shows."""
    source = survey.snapshot.read(f"{folder}/{module}.py") or survey.snapshot.read(f"{folder}/{module}/__init__.py")
    tree = parse(source) if source else None
    if tree is None or source is None or _HIDDEN.search(source.text):
        return None
    if module != "__init__" and source.path.endswith("/__init__.py"):
        folder = f"{folder}/{module}"
    names = {
        path[len(folder) + 1 :].split("/")[0].removesuffix(".py")
        for path in survey.snapshot.paths
        if path.startswith(f"{folder}/")
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
            if any(alias.name == "*" for alias in node.names):
                inside = node.level == 1 and node.module and levels
                more = _bound(survey, folder, str(node.module).replace(".", "/"), levels - 1) if inside else None
                if more is None:
                    return None
                names |= more
    return names
