"""Finds tests of Python that CI never collects: pytest passes over the file's name, or no program of tests imports it.

A file counts as a test only where a parser finds tests in it. Where another runner may collect it, nothing is said.
"""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import PurePosixPath

from ...files import is_example
from ...reading.python_source import FUNCTIONS, dotted
from ...reading.workflows import Workflow
from ..finding import Finding, cite, sighting
from ..survey import Survey

UNCOLLECTED = "lens:uncollected-tests"
_RUNNING, _SETTING = ("tox.ini", "noxfile.py", "Makefile"), ("pytest.ini", "pyproject.toml", "setup.cfg")
_OTHER_RUNNERS = re.compile(
    r"-m unittest|discover|nosetests|manage\.py test|\btrial\b|stestr|runtests|zope-testrunner|run_tests"
)
_PATTERNS = ("test_*.py", "*_test.py")
# Type checkers read these, and nothing runs them.
_TYPED = frozenset({"typing", "typesafety", "mypy", "pyright", "type_tests"})
_FOLDER = re.compile(r"(^|/)(unit)?tests?/((unit|integration)/)?[^/]+$")  # deeper lies what tests read


def find_uncollected(survey: Survey, workflows: list[Workflow]) -> Iterator[Finding]:
    """Yields each file of tests that no command of CI reaches."""
    sources = {path: survey.snapshot.read(path) for path in (*_RUNNING, *_SETTING)}
    texts = {path: source.text for path, source in sources.items() if source}
    told = "\n".join([*(workflow.source.text for workflow in workflows), *(texts.get(path, "") for path in _RUNNING)])
    if _OTHER_RUNNERS.search(told):
        return
    is_set = any("python_files" in text for text in texts.values())
    has_pytest = bool(re.search(r"\bpy\.?test\b", told))
    programs = {name.replace(".", "/") for name in re.findall(r"\bpython3? -m ([\w.]+)", told)}
    imports = (line for source in survey.sources(survey.tests, "Python") for line in source.lines)
    imported = {word for line in imports if re.match(r"\s*(from|import)\s", line) for word in re.findall(r"\w+", line)}
    for source, tree in survey.python(survey.tests):
        path = PurePosixPath(source.path)
        is_other = is_example(source.path) or not _FOLDER.search(source.path) or _TYPED & set(path.parts)
        if is_other or path.name in told or path.stem in imported:
            continue
        number, folder = _first_test(tree), str(path.parent)
        if not has_pytest and number and folder in programs and survey.snapshot.has(f"{folder}/__main__.py"):
            title = f"CI runs `python -m {folder.replace('/', '.')}`, which does not import {path.name}"
            yield sighting(UNCOLLECTED, cite(source, number), title)
        if has_pytest and number and not is_set and not any(fnmatch(path.name, pattern) for pattern in _PATTERNS):
            title = f"pytest passes over {source.path}: its name matches neither {' nor '.join(_PATTERNS)}"
            yield sighting(UNCOLLECTED, cite(source, number), title)


def _first_test(tree: ast.Module) -> int:
    """Returns the line of the first test in a file; 0 if there is none."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    tests = [
        one for one in classes if one.name.startswith("Test") or any("TestCase" in dotted(base) for base in one.bases)
    ]
    items = [*tree.body, *(item for one in tests for item in one.body)]
    lines = (item.lineno for item in items if isinstance(item, FUNCTIONS) and item.name.startswith("test_"))
    return min(lines, default=0)
