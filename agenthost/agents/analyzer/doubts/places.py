"""Doubts results by the folder of their file: in examples, and in what only developers run, some rules do not matter."""

import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from ...files import is_example, is_test, is_tooling
from ..results import Result

_PASSED_OVER = re.compile(
    r"(?i)(^|/)\.?(examples?|samples?|demos?|playground|templates?|releases?|release[-_]notes|versioned_docs)/"
)


def is_in_example(result: Result, _: bytes = b"") -> str:
    """Returns that a file is an example."""
    return "stand in examples" if is_example(result.path) else ""


def is_little_read(result: Result, _: bytes = b"") -> str:
    """Returns that a document is that of an example, or of a past release."""
    return "stand in examples or documents of the past" if _PASSED_OVER.search(result.path) else ""


def is_for_developers(result: Result, _: bytes = b"") -> str:
    """Returns that a file is an example, or builds the place where its developers work, which is meant to be new."""
    is_theirs = result.path.startswith(".devcontainer/") or "/.devcontainer/" in result.path
    return "build the place where developers work" if is_theirs else is_in_example(result)


def is_run_by_hand(result: Result, _: bytes = b"") -> str:
    """Returns that a file is an example, or a script that a developer runs, and ends when it hangs."""
    return "stand in scripts for developers" if is_tooling(result.path) else is_in_example(result)


def is_test_environment(result: Result, _: bytes = b"") -> str:
    """Returns that a file defines environments of tests: some of them try the newest of other projects on purpose."""
    is_one = PurePosixPath(result.path).name in ("pyproject.toml", "tox.ini", "noxfile.py")
    return "stand in environments of tests" if is_one else ""


LOOKS: Mapping[str, Callable[[Result, bytes], str]] = {
    "DL3002": is_in_example,
    "c-allocation-unchecked": is_in_example,
    "compose-database-open": is_in_example,
    "compose-database-without-version": is_in_example,
    "compose-docker-socket-latest": is_in_example,
    "S113": is_run_by_hand,
    "shell-installs-branch": is_test_environment,
    "go-request-without-timeout": is_run_by_hand,
    "java-swallows-interrupt": is_in_example,
    "dockerfile-program-unchecked": is_for_developers,
    "typo": is_little_read,
}
# A test's own mistake lets a fault of the product through, and breaks nothing.
KINDS: Mapping[str, Callable[[Result, bytes], str]] = dict.fromkeys(
    ("SC2070", "SC2157"), lambda result, _: "of-tests" if is_test(result.path) else ""
)
