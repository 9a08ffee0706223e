"""Finds credentials committed to the repository, by the formats that issuers gave them and by their randomness.

Tests, examples and placeholders are not believed, nor keys that a document declares to be for tests only; "password = …" is left
to people. The claim never repeats the credential.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from ...files import is_example, is_test, is_vendored
from ...reading.snapshot import SourceText
from ..finding import Evidence, Finding, cite, sighting
from ..survey import Survey

MAX_SCANNED_BYTES = 400_000
MAX_DOCUMENTS = 400
MIN_BITS_PER_CHARACTER = 3.2
LEAK = "lens:committed-token"
KEY = "lens:committed-key"
SHOWN = "lens:shown-key"
_AWS = "an AWS access key with its secret"
_AWS_SECRET = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
_FORMATS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (_AWS, re.compile(r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b")),
    ("a GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20}\b")),
    ("a Slack token", re.compile(r"\bxox[abprs]-[0-9]{8,}-[0-9A-Za-z-]{16,}\b")),
    ("a live Stripe key", re.compile(r"\b[sr]k_live_[0-9A-Za-z]{24,}\b")),
    ("an npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("a PyPI token", re.compile(r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}\b")),
    ("a SendGrid key", re.compile(r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}\b")),
)
_HINT = re.compile(r"AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|k_live_|npm_|pypi-AgE|SG\.|PRIVATE KEY")
_KEY_BLOCK = re.compile(r"^\s*-----BEGIN (?:RSA |EC |DSA |OPENSSH |ENCRYPTED )?PRIVATE KEY-----\s*$")
_KEY_BODY = re.compile(r"^\s*[A-Za-z0-9+/=]{60,80}\s*$")
_PLACEHOLDER = re.compile(
    r"example|sample|dummy|fake|placeholder|redacted|xxxx|your[-_]|\btest|mock|0123456|1234567|abcdef|changeme|revoked|<.*>",
    re.IGNORECASE,
)
_TRIAL_PATH = re.compile(
    r"(^|/)t/|test|example|sample|fixture|mock|dummy|snakeoil|localhost|self-?signed|demo|\bdev\b|devcontainer|\.md$|\.rst$|\.adoc$|baseline"
    r"|changelog|\.orig$",
    re.IGNORECASE,
)
_DECLARED = re.compile(r"\btest|not (?:be )?used? in production|never .{0,20}production", re.IGNORECASE)


def find_credentials(survey: Survey) -> Iterator[Finding]:
    """Yields the credentials of all text files that are not tests or examples."""
    for path in survey.snapshot.paths:
        if survey.is_late():
            return
        trial = is_test(path) or is_example(path) or is_vendored(path) or _TRIAL_PATH.search(path)
        if trial or survey.snapshot.sizes[path] > MAX_SCANNED_BYTES:
            continue
        source = survey.snapshot.read(path)
        if source and _HINT.search(source.text):
            yield from _scan(survey, source)


def _scan(survey: Survey, source: SourceText) -> Iterator[Finding]:
    for number, line in enumerate(source.lines, 1):
        if len(line) > 2000 or not _HINT.search(line):
            continue
        place = cite(source, number)
        body = source.lines[number : number + 6]
        if _KEY_BLOCK.match(line) and sum(bool(_KEY_BODY.match(part)) for part in body) >= 3:
            yield from _judge_key(survey, source.path, place)
        for name, pattern in _FORMATS:
            match = pattern.search(line)
            near = "\n".join(source.lines[max(number - 4, 0) : number + 3])
            real = match and not _PLACEHOLDER.search(line) and _bits(match.group()) >= MIN_BITS_PER_CHARACTER
            if real and (name != _AWS or _AWS_SECRET.search(near)):
                yield sighting(LEAK, place, f"{name} stands in the open")


def _judge_key(survey: Survey, path: str, place: Evidence | None) -> Iterator[Finding]:
    """Yields a private key by what the documents say of it; nothing where they declare its folder or itself to be for tests."""
    folders = [str(parent) for parent in PurePosixPath(path).parents if "/" in str(parent)]
    shown: Evidence | None = None
    texts = (item for item in survey.snapshot.paths if item.lower().endswith((".md", ".rst", ".txt", ".adoc")))
    for document in survey.sources(tuple(texts)[:MAX_DOCUMENTS]):
        for number, line in enumerate(document.lines, 1):
            if _DECLARED.search(line) and any(item in line for item in (path, *folders)):
                return
            if shown is None and path in line:
                shown = cite(document, number)
    if shown:
        yield sighting(SHOWN, shown, f"this line offers {path}, which holds a private key")
    else:
        yield sighting(KEY, place, "a private key stands in the open")


def _bits(text: str) -> float:
    """Returns Shannon's measure per character: words and patterns have little, keys have much."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())
