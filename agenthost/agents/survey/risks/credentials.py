"""Finds credentials committed to the repository, by the formats that issuers gave them and by their randomness.

Tests, examples, documentation and placeholders are not looked at or not believed; generic "password = …" is left to people.
The claim never repeats the credential.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

from ...files import is_example, is_test, is_vendored
from ..finding import Finding, Severity, cite
from ..reading.snapshot import SourceText
from ..sighting import Rule, Sighting, merge
from ..survey import Survey

MAX_SCANNED_BYTES = 400_000
MIN_BITS_PER_CHARACTER = 3.2
COMMITTED = Rule(
    "committed-credential",
    Severity.HIGH,
    "A credential is committed in {path}",
    "{count} credentials are committed",
    "Every reader of the repository, or of its history, can use it.",
    "Revoke it first, then remove it and load it from outside.",
)
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
_TEST_NAME = re.compile(
    r"test|example|sample|fixture|mock|dummy|snakeoil|\.md$|\.rst$|\.adoc$|baseline|changelog", re.IGNORECASE
)


def find_credentials(survey: Survey) -> list[Finding]:
    """Returns the credentials of all text files that are not tests or examples, as one finding."""
    return merge("risks", _sightings(survey))


def _sightings(survey: Survey) -> Iterator[Sighting]:
    for path in survey.snapshot.paths:
        if survey.is_late():
            return
        if survey.snapshot.sizes[path] > MAX_SCANNED_BYTES or is_test(path) or is_example(path) or is_vendored(path):
            continue
        if not _TEST_NAME.search(path) and (source := survey.snapshot.read(path)) and _HINT.search(source.text):
            yield from _scan(source)


def _scan(source: SourceText) -> Iterator[Sighting]:
    for number, line in enumerate(source.lines, 1):
        if len(line) > 2000 or not _HINT.search(line):
            continue
        if (
            _KEY_BLOCK.match(line)
            and sum(bool(_KEY_BODY.match(body)) for body in source.lines[number : number + 6]) >= 3
        ):
            yield Sighting(COMMITTED, cite(source.path, source.lines, number), "a private key stands in the open")
        for name, pattern in _FORMATS:
            match = pattern.search(line)
            lonely = name == _AWS and not _AWS_SECRET.search("\n".join(source.lines[max(number - 4, 0) : number + 3]))
            real = match and not _PLACEHOLDER.search(line) and _bits(match.group()) >= MIN_BITS_PER_CHARACTER
            if real and not lonely:
                yield Sighting(COMMITTED, cite(source.path, source.lines, number), f"{name} stands in the open")


def _bits(text: str) -> float:
    """Returns Shannon's measure per character: words and patterns have little, keys have much."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())
