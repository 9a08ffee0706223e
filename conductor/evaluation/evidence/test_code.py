"""Tells by its path whether a file belongs to tests: where a rule speaks of product code, its places there do not count.

Hosts count results in test code by the same paths: `agenthost/agents/files/roles.py`.
"""

import re
from functools import lru_cache

MOST_REMOTE = 2
_FOLDERS = frozenset(
    {
        "test", "tests", "testing", "testsuite", "__tests__", "spec", "specs", "e2e", "integration", "cypress", "fixtures",
        "testdata", "test_data", "mocks", "__mocks__", "test-utils", "testutil", "test_support", "unittest",
        "benchmark", "benchmarks", "bench", "benches",
    }
)  # fmt: skip
_EXAMPLES = frozenset(
    {"example", "examples", ".examples", "sample", "samples", "demo", "demos", "docs", "doc", "tutorial", "tutorials"}
)
_FOLDER_ENDS = ("_test", "_tests", "-test", "-tests")
_SOURCES = re.compile(r"[a-z]Tests?$")  # as Gradle names sets of sources: jvmTest, androidTest
_NAME = re.compile(
    r"(test_.*|.*_tests?|tests?|conftest)\.(py|go|rs|c|cc|cpp|rb|sh|bats)|.*\.(test|spec|e2e)\.[cm]?[jt]sx?"
    r"|.*(Test|Tests|IT|TestCase)\.(java|kt|scala|cs)|.*_spec\.rb|.*\.bats"
)


@lru_cache(4096)
def is_test(path: str) -> bool:
    """Returns whether a file belongs to the tests, their data or their support."""
    *folders, name = path.split("/")
    return bool(_NAME.fullmatch(name)) or any(_is_of_tests(folder) for folder in folders)


def remoteness(path: str) -> int:
    """Returns how far a file is from what users run: 0 for product code, 1 for examples, and most for tests."""
    if is_test(path):
        return MOST_REMOTE
    return int(any(folder.lower() in _EXAMPLES for folder in path.split("/")[:-1]))


def _is_of_tests(name: str) -> bool:
    folder = name.lower()
    if _SOURCES.search(name):
        return True
    return folder in _FOLDERS or folder.startswith(("test_", "tests_", "test-")) or folder.endswith(_FOLDER_ENDS)
