"""Reads which file imports which in JavaScript, TypeScript, C, C++, Ruby and Java, by a tolerant scan of their text.

Only imports of files of the repository count. Types alone do not: TypeScript drops them. Go and Rust are left out, since the Go
compiler refuses rings of packages and Rust's modules of one crate may use each other freely.
"""

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from ...files import language
from ..reading.blanking import blank_comments
from ..reading.snapshot import SourceText
from ..survey import Survey
from .import_graph import Import

SCANNED = ("JavaScript", "TypeScript", "C", "C++", "Ruby", "Java")
_SCRIPT_ENDINGS = (
    "",
    ".ts",
    ".tsx",
    ".js",
    ".jsx",
    ".mjs",
    ".cjs",
    ".mts",
    "/index.ts",
    "/index.tsx",
    "/index.js",
    "/index.mjs",
)
_SCRIPT = re.compile(
    r"""^(?:import|export)\s+(?!type\b)(?P<names>[^'";]*?)(?:\bfrom\s*)?['"](?P<module>\.[^'"\n]*)['"]"""
    r"""|^(?:(?:const|let|var)\s+[^=\n]+=\s*)?require\(\s*['"](?P<required>\.[^'"\n]*)['"]\s*\)""",
    re.MULTILINE,
)
_TYPE_NAME = re.compile(r"^export\s+(?:declare\s+)?(?:interface|type)\s+(\w+)", re.MULTILINE)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.MULTILINE)
_RUBY = re.compile(r"^require_relative\s*\(?['\"]([^'\"\n]+)['\"]", re.MULTILINE)
_JAVA = re.compile(r"^import\s+(?:static\s+)?([\w.]+)\s*;", re.MULTILINE)
_JAVA_ROOT = re.compile(r"^(?:.*/)?(?:src/main/java|src|java)/(.+)\.java$")


def file_imports(survey: Survey) -> Iterator[Import]:
    """Yields the imports between the product files of these languages."""
    files = frozenset(survey.product)
    classes = {match[1].replace("/", "."): path for path in survey.product if (match := _JAVA_ROOT.match(path))}
    for source in survey.sources(survey.product, *SCANNED):
        match language(source.path):
            case "JavaScript" | "TypeScript":
                yield from _script_imports(survey, source, files)
            case "C" | "C++":
                yield from _scan(source, _INCLUDE, lambda name, path: _beside(path, name, ("",), files))
            case "Ruby":
                yield from _scan(source, _RUBY, lambda name, path: _beside(path, name, (".rb", ""), files))
            case _:
                yield from _scan(
                    source, _JAVA, lambda name, _: classes.get(name) or classes.get(name.rpartition(".")[0], "")
                )


def _scan(source: SourceText, pattern: re.Pattern[str], resolve: Callable[[str, str], str]) -> Iterator[Import]:
    text = source.text if language(source.path) == "Ruby" else blank_comments(source.text)
    for match in pattern.finditer(text):
        if target := resolve(match[1], source.path):
            yield Import(source.path, text.count("\n", 0, match.start(1)) + 1, target)


def _script_imports(survey: Survey, source: SourceText, files: frozenset[str]) -> Iterator[Import]:
    text = blank_comments(source.text)
    for match in _SCRIPT.finditer(text):
        module = match["module"] or match["required"]
        target = _beside(source.path, module, _SCRIPT_ENDINGS, files)
        if target and not _only_types(survey, match["names"] or "", target):
            yield Import(source.path, text.count("\n", 0, match.start()) + 1, target)


def _only_types(survey: Survey, names: str, target: str) -> bool:
    """Tells whether every name in the braces is marked as a type, or declared as one where it comes from."""
    braces = re.search(r"\{([^}]*)\}", names)
    wanted = [name.strip() for name in braces[1].split(",") if name.strip()] if braces else []
    source = survey.snapshot.read(target)
    declared = set(_TYPE_NAME.findall(source.text)) if source else set()
    return bool(wanted) and all(name.startswith("type ") or name.split(" ")[0] in declared for name in wanted)


def _beside(path: str, name: str, endings: tuple[str, ...], files: frozenset[str]) -> str:
    """Resolves a relative name; TypeScript may write `.js` for a file that is `.ts`."""
    base = posixpath.normpath(posixpath.join(str(PurePosixPath(path).parent), name))
    stems = [base, base.removesuffix(".js")] if base.endswith(".js") else [base]
    return next((stem + ending for stem in stems for ending in endings if stem + ending in files), "")
