"""Doubts results by the folder of their file: in examples, and in what only developers run, some rules do not matter."""

import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from ...files import is_code, is_example, is_test, is_tooling
from ..results import Result

_PASSED_OVER = re.compile(
    r"(?i)(^|/)\.?(examples?|samples?|demos?|playground|templates?|releases?|release[-_]notes|versioned_docs)/"
)
# The names of licences, standards and notices, and how such texts begin: a correction belongs with their authors.
_FOREIGN_NAME = re.compile(
    r"(?i)(^|/)((rfc[-_]?\d{3,5}|draft-[a-z]+-[\w-]+-\d\d)\b[^/]*|(un)?licen[cs]e[^/]*|copying[^/]*|notices?(\.\w+)?|patents"
    r"|third[-_]?party[-_]?(notices?|licen[cs]es?)[^/]*|(gpl|lgpl|agpl|apache|mpl|ofl|epl)(-?v?\d[\d.]*)?\.(txt|md|html))$"
    r"|(^|/)(licen[cs]es?|rfcs?/(?=rfc\d)|ietf|w3c|standards)/"
)
_FOREIGN_TEXT = re.compile(
    r"(?m)^\s*(Network Working Group|Internet Engineering Task Force|Request for Comments:|Internet-Draft\b|W3C Recommendation"
    r"|Permission is hereby granted|Redistribution and use in source and binary forms|GNU (LESSER )?GENERAL PUBLIC LICENSE"
    r"|Project Gutenberg|The Project Gutenberg)"
)
HEAD_CHARACTERS = 800  # a short README may hold its licence further down

_ENVIRONMENT = re.compile(r"\s*(\[|(async )?def )")
# Of a named environment, and of a session: the plain one is what everything is tested in.
_OF_BRANCH = re.compile(
    r"(?i)^\s*(\[testenv:|\[tool\.(tox|hatch)|(async )?def )"
    r"|(?<![a-z])(dev|devel|development|main|master|trunk|nightly|head|latest|upstream|pre)(?![a-z])",
    re.MULTILINE,
)
MIN_LINES_OF_NAME = 2
_WORD = re.compile(r"`([a-z]+)` should be ")
_COMMENT = re.compile(r"\s*(#|//|/?\*|--|;|%|<!--)")
_FETCHED = re.compile(r"git\+\S+")


def is_in_example(result: Result, _: bytes = b"") -> str:
    """Returns that a file is an example."""
    return "stand in examples" if is_example(result.path) else ""


def is_little_read(result: Result, content: bytes = b"") -> str:
    """Returns that a document is that of an example, of a past release, or a copy of a text that others wrote."""
    if _FOREIGN_NAME.search(result.path) or _FOREIGN_TEXT.search(content[:HEAD_CHARACTERS].decode(errors="replace")):
        return "stand in copies of what others wrote"
    if _PASSED_OVER.search(result.path):
        return "stand in examples or documents of the past"
    word = _WORD.match(result.message)
    if not word:
        return ""
    if is_code(result.path):
        return "are names in the code" if _is_name(word[1], content) else ""
    parts = re.compile(rf"(?i)(?<![a-z]){word[1]}[-_][\w-]{{0,80}}\.\w|[-_/]{word[1]}\.\w")
    return "are in names of files" if parts.search(content.decode(errors="replace")) else ""


def _is_name(word: str, content: bytes) -> bool:
    """Returns whether the code of a file, outside of its comments, holds the word again and again, alone or in longer names."""
    lines = (line for line in content.decode(errors="replace").split("\n") if word in line.lower())
    return sum(not _COMMENT.match(line) for line in lines) >= MIN_LINES_OF_NAME


def is_for_developers(result: Result, _: bytes = b"") -> str:
    """Returns that a file is an example, or builds the place where its developers work, which is meant to be new."""
    is_theirs = result.path.startswith(".devcontainer/") or "/.devcontainer/" in result.path
    return "build the place where developers work" if is_theirs else is_in_example(result)


def is_run_by_hand(result: Result, _: bytes = b"") -> str:
    """Returns that a file is an example, or a script that a developer runs, and ends when it hangs."""
    return "stand in scripts for developers" if is_tooling(result.path) else is_in_example(result)


def is_for_a_branch(result: Result, content: bytes = b"") -> str:
    """Returns that an environment of tests is there to try a branch of another project, as its name or its line says."""
    if PurePosixPath(result.path).name not in ("pyproject.toml", "tox.ini", "noxfile.py"):
        return ""
    lines = content.decode(errors="replace").split("\n")[: max(result.start_line, 1)]
    head = next((line for line in reversed(lines) if _ENVIRONMENT.match(line)), "")
    return "stand in environments of tests" if _OF_BRANCH.search(f"{head}\n{_FETCHED.sub('', lines[-1])}") else ""


LOOKS: Mapping[str, Callable[[Result, bytes], str]] = {
    "DL3002": is_in_example,
    "c-allocation-unchecked": is_in_example,
    "compose-database-open": is_in_example,
    "compose-database-without-version": is_in_example,
    "compose-docker-socket-latest": is_in_example,
    "S113": is_run_by_hand,
    "shell-installs-branch": is_for_a_branch,
    "go-request-without-timeout": is_run_by_hand,
    "java-swallows-interrupt": is_in_example,
    "dockerfile-program-unchecked": is_for_developers,
    "typo": is_little_read,
}
# A test's own mistake lets a fault of the product through, and breaks nothing.
KINDS: Mapping[str, Callable[[Result, bytes], str]] = dict.fromkeys(
    ("SC2070", "SC2157"), lambda result, _: "of-tests" if is_test(result.path) else ""
)
