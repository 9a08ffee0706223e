"""Finds credentials committed to the repository, by the formats that issuers gave them and by their randomness.

Tests, examples and placeholders are not believed, nor keys whose name or a document says that they protect nothing;
"password = …" is left to people. The claim never repeats the credential.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from ...files import is_example, is_test, is_vendored
from ...reading.certificates import read_ends
from ...reading.history import newest_commit
from ...reading.snapshot import SourceText
from ..finding import Finding, cite, sighting
from ..survey import Survey

MAX_SCANNED_BYTES = 400_000
MAX_LINE_CHARACTERS = 2000
MAX_DOCUMENTS = 400
MIN_BITS_PER_CHARACTER = 3.2
LEAK = "lens:committed-token"
KEY = "lens:committed-key"
ENDING, ENDED = "lens:ending-certificate", "lens:ended-certificate"
_YEAR = 365 * 86_400
_CERTIFICATE = re.compile(r"\.(pem|crt|cer|cert)$")
_MEANT = re.compile(
    r"(?i)expired|invalid|\bold\b|root_?cert|roots/|bundle|trust|cacert|-example"
)  # or of other issuers
_AWS = "an AWS access key with its secret"
_AWS_SECRET = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
_FORMATS = {
    _AWS: r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{20}\b",
    "a Slack token": r"\bxox[abprs]-[0-9]{8,}-[0-9A-Za-z-]{16,}\b",
    "a live Stripe key": r"\b[sr]k_live_[0-9A-Za-z]{24,}\b",
    "an npm token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "a PyPI token": r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}\b",
    "a SendGrid key": r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}\b",
}
_HINT = re.compile(r"AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|k_live_|npm_|pypi-AgE|SG\.|PRIVATE KEY")
_KEY_BLOCK = re.compile(r"\s*-----BEGIN (?:RSA |EC |DSA |OPENSSH |ENCRYPTED )?PRIVATE KEY-----\s*")
_KEY_BODY = re.compile(r"\s*[A-Za-z0-9+/=]{60,80}\s*")
# In a path or a line: a credential for trying, or none at all.
_TRIAL = re.compile(
    r"example|sample|dummy|fake|placeholder|redacted|xxxx|your[-_]|test|mock|fixture|0123456|1234567|abcdef|changeme|revoked|<.*>"
    r"|snakeoil|localhost|self-?signed|demo|\bdev\b|devcontainer|baseline|changelog|(^|/)t/|\.(md|rst|adoc|orig)$"
    r"|(^|/)(extractors?|scrapers?)/",  # the keys of sites, which their pages hand to every visitor
    re.IGNORECASE,
)
_DECLARED = re.compile(
    r"\btest|not (?:be )?used? in production|never .{0,20}production|insecure|not secure|publicly known", re.IGNORECASE
)


def find_credentials(survey: Survey) -> Iterator[Finding]:
    """Yields the credentials of all text files that are not tests or examples."""
    for path in survey.snapshot.paths:
        if survey.is_late():
            return
        is_trial = is_test(path) or is_example(path) or is_vendored(path) or _TRIAL.search(path)
        is_read = not is_trial and survey.snapshot.sizes[path] <= MAX_SCANNED_BYTES
        source = survey.snapshot.read(path) if is_read else None
        if source and _HINT.search(source.text):
            yield from _scan(survey, source)


def find_ending_certificates(survey: Survey) -> Iterator[Finding]:
    """Yields the certificates that end within a year of the newest commit, before or after it.

    What ended longer ago is checked by nothing: it would have been noticed. Examples are checked by their readers alone.
    """
    found = (path for path in survey.snapshot.paths if _CERTIFICATE.search(path) and not _MEANT.search(path))
    names = [path for path in found if not (is_vendored(path) or is_example(path))]
    sources = [source for path in names if (source := survey.snapshot.read(path))]
    ends = [(source, number, end) for source in sources for number, end in read_ends(source.text)]
    newest = newest_commit() if ends else 0
    for source, number, end in ends if newest else ():
        if abs(end.timestamp() - newest) < _YEAR:
            rule = ENDED if end.timestamp() <= newest else ENDING
            title = f"the certificate in {source.path} {'ended' if rule == ENDED else 'ends'} on {end:%Y-%m-%d}"
            yield sighting(rule, cite(source, number), title)


def _scan(survey: Survey, source: SourceText) -> Iterator[Finding]:
    for number, line in enumerate(source.lines, 1):
        if len(line) > MAX_LINE_CHARACTERS or not _HINT.search(line):
            continue
        body = source.lines[number : number + 6]
        is_key = _KEY_BLOCK.fullmatch(line) and sum(bool(_KEY_BODY.fullmatch(part)) for part in body) >= 3
        if is_key and not _DECLARED.search(f"{source.path}\n{_said_of(survey, source.path)}"):
            yield sighting(KEY, cite(source, number), "a private key stands in the open")
        near = "\n".join(source.lines[max(number - 4, 0) : number + 3])
        for name, pattern in _FORMATS.items() if not _TRIAL.search(line) else ():
            match = re.search(pattern, line)
            is_random = match and _bits(match.group()) >= MIN_BITS_PER_CHARACTER
            if is_random and (name != _AWS or _AWS_SECRET.search(near)):
                yield sighting(LEAK, cite(source, number), f"{name} stands in the open")


def _said_of(survey: Survey, path: str) -> str:
    """Returns the lines of documents that name a file, or its folder."""
    named = (path, *(str(parent) for parent in PurePosixPath(path).parents if "/" in str(parent)))
    texts = (item for item in survey.snapshot.paths if item.lower().endswith((".md", ".rst", ".txt", ".adoc")))
    documents = survey.sources(tuple(texts)[:MAX_DOCUMENTS])
    return "\n".join(line for document in documents for line in document.lines if any(name in line for name in named))


def _bits(text: str) -> float:
    """Returns Shannon's measure per character: words and patterns have little, keys have much."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())
