"""Tells by its path whether a file is product, test, example, tooling or vendored, and by its first lines whether generated."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from .languages import is_code

_TEST_FOLDERS = frozenset(
    {
        *("benchmark", "benchmarks", "bench", "benches"),
        *("test", "tests", "testing", "__tests__", "spec", "specs", "testdata", "test_data", "fixtures", "__mocks__"),
        *("e2e", "integration", "cypress", "mocks", "test-utils", "testutil", "test_support", "testsuite", "unittest"),
        *(".semgrep", "semgrep", "semgrep-rules"),  # rules, each with an example of the fault that it finds
    }
)
_EXAMPLE_FOLDERS = frozenset(
    {
        *("example", "examples", "sample", "samples", "demo", "demos", "docs", "doc", "docs_src", "documentation"),
        *("tutorial", "tutorials", "website", "www", "playground", "fuzz"),
        *("templates", "cookbook", "template", "boilerplate"),
    }
)
# A folder `build`, `out` or `target` that is kept in a repository holds code: git ignores what tools write there.
_VENDORED_FOLDERS = frozenset(
    {
        *("vendor", "vendored", "_vendor", "_vendored", "third_party", "thirdparty", "third-party", "3rdparty", "deps"),
        *("external", "extern", "dist", "bundled", "_bundled", "packages_vendored", "wwwroot"),
    }
)
_TOOLING_FOLDERS = frozenset(
    {
        *("scripts", "script", "tools", "tool", "ci", ".ci", ".github", ".circleci", "hacking", "dev", "devtools"),
        *("devscripts", "release", "contrib", "build", "build-tools", "build_tools", "buildtools", "packaging"),
        *("maintenance", "automation"),
    }
)
_TOOLING_NAMES = frozenset(
    {
        *("setup.py", "noxfile.py", "tasks.py", "fabfile.py", "conf.py", "release.py", "wscript", "dodo.py"),
        "hatch_build.py",
    }
)
_TEST_NAME = re.compile(
    r"^(test_.*|.*_tests?|tests?|conftest)\.(py|go|rs|c|cc|cpp|rb|sh|bats)$"
    r"|\.(test|spec|e2e)\.[cm]?[jt]sx?$|^.*(Test|Tests|IT|TestCase)\.(java|kt|scala|cs)$|_spec\.rb$|\.bats$"
)
_TEST_SOURCES = re.compile(r"[a-z]Tests?$")  # as Gradle names sets of sources: jvmTest, androidTest
_VENDORED_NAME = re.compile(r"\.min\.(js|css)$|[-.]bundle\.js$|\.(lock|snap|map)$|_pb2(_grpc)?\.pyi?$|\.pb\.go$")
# In a comment: a sentence about what is generated says nothing of the file itself.
_GENERATED = re.compile(
    r"@generated\b|^\W*(code generated\b.*\bdo not edit|.{0,60}\bdo not (edit|modify)\b|.{0,40}\bauto[- ]?(matically )?generated\b"
    r"|a (bison parser, made|lexical scanner generated) by\b"
    r"|generated automatically|((this|the) \w+ (is|was|has been) )?generated (by|from)\b)",
    re.IGNORECASE,
)
_WORKFLOW = re.compile(r"(^|/)\.github/workflows/[^/]+\.ya?ml$")
_COMMENT = re.compile(r"\s*(#|//|/\*|\*|--|<!--|;|%|\"\"\"|'|<\?php|$)")
# /*! jQuery JavaScript Library v1.7.1 … license
_RELEASED = re.compile(
    r"(?:/\*|//)[^\n]{0,120}(?:\n[^\n]{0,120}){0,2}?(?:\bv\d+\.\d+|\b\d+\.\d+\.\d+\b).{0,600}?(?:\blicen[cs]e|\bcopyright|\(c\))",
    re.DOTALL | re.IGNORECASE,
)
_RELEASED_PATH = re.compile(r"/[^/]+\.(?:[cm]?js|css)$")
_HEAD_LINES = 12
_HEAD_CHARACTERS = 1200
_MINIFIED_COLUMNS = 2000


def is_test(path: str) -> bool:
    """Returns whether the file belongs to the tests, their data or their support. The conductor's `test_code` must agree."""
    pure = PurePosixPath(path)
    if any(_TEST_SOURCES.search(part) for part in pure.parts[:-1]):
        return True
    folders = {part.lower() for part in pure.parts[:-1]}
    return bool(folders & _TEST_FOLDERS or _TEST_NAME.search(pure.name)) or any(
        name.startswith(("test_", "tests_", "test-")) or name.endswith(("_test", "_tests", "-tests", "-test"))
        for name in folders
    )


def is_vendored(path: str) -> bool:
    """Returns whether the file came from elsewhere, or is the output of a tool."""
    pure = PurePosixPath(path)
    return bool({part.lower() for part in pure.parts[:-1]} & _VENDORED_FOLDERS or _VENDORED_NAME.search(pure.name))


def is_example(path: str) -> bool:
    """Returns whether the file is documentation, an example, a template or a benchmark."""
    return bool({part.lower() for part in PurePosixPath(path).parts[:-1]} & _EXAMPLE_FOLDERS)


def is_product(path: str) -> bool:
    """Returns whether the file is code that the project ships or runs."""
    return is_code(path) and not (is_test(path) or is_vendored(path) or is_example(path))


def is_generated(lines: Sequence[str], path: str = "") -> bool:
    """Returns whether a tool wrote the file, by its text: it says so in its first lines, or most of it stands in endless ones.

    With its path, a script in a folder that begins as releases of libraries do was copied from elsewhere. A workflow never
    counts, since it runs with the repository's rights: vendors ask at its head to leave some lines alone.
    """
    if _WORKFLOW.search(path):
        return False
    if _RELEASED_PATH.search(path) and _RELEASED.match("\n".join(lines[:_HEAD_LINES])[:_HEAD_CHARACTERS]):
        return True
    if any(_COMMENT.match(line) and _GENERATED.search(line[:400]) for line in lines[:_HEAD_LINES]):
        return True
    endless = sum(len(line) for line in lines if len(line) > _MINIFIED_COLUMNS)
    return endless > 0 and 2 * endless > sum(map(len, lines))


def is_tooling(path: str) -> bool:
    """Returns whether the file serves developers of the project rather than its users."""
    pure = PurePosixPath(path)
    return bool({part.lower() for part in pure.parts[:-1]} & _TOOLING_FOLDERS) or pure.name in _TOOLING_NAMES
