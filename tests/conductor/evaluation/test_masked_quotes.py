"""Keeps E10 F4: what the host masks in a quote does not make its citation fail, and opens no door for invented quotes."""

import pytest

from agenthost.core.output.redaction import redacted
from conductor.evaluation.evidence.citations import CitationCheck
from conductor.evaluation.evidence.findings import Evidence, Finding
from conductor.evaluation.evidence.masked_quotes import MAX_MASKS, stands_masked

TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0hJ3lM6"
KEY = "\n".join(
    ["-----BEGIN RSA PRIVATE KEY-----", "MIIEow" + "aB3dE6gH9j" * 5, "Xy7" * 20, "-----END RSA PRIVATE KEY-----"]
)
CONFIGURED = "hunter2-hunter2"
FILE = f"""\
import os
TOKEN = "{TOKEN}"  # for CI
pair = ("{TOKEN}", "{CONFIGURED}")
KEY = '''
{KEY}
'''
{TOKEN}
{CONFIGURED}
"""


def judged(quote: str, start: int, end: int = 0) -> Evidence:
    finding = Finding("high", "t", "c", "risks", (Evidence("a.py", start, end or start, quote),), "risks")
    return CitationCheck({"a.py": FILE.encode()}).judge(finding).evidence[0]


@pytest.mark.parametrize(("start", "end"), [(2, 2), (2, 3), (1, 9), (4, 9), (5, 5), (5, 8), (10, 10)])
def test_what_the_host_masked_verifies_where_it_stands(start: int, end: int) -> None:
    lines = FILE.splitlines()[start - 1 : end]
    quote = redacted("\n".join(lines), [CONFIGURED])

    assert (quote == "\n".join(lines)) is ((start, end) == (5, 5))
    assert TOKEN not in quote
    assert judged(quote, start, end).status == "verified"


@pytest.mark.parametrize(
    ("quote", "start", "end"),
    [
        ("[redacted:x]", 2, 2),  # nothing that is compared
        ("im[redacted:x]", 1, 1),  # too short to be a secret, and two characters prove nothing
        ("imp[redacted:x]", 1, 1),  # a secret has no white space
        ('TOKEN = "[redacted:x]"  # for us', 2, 2),
        ('TOKEN = "ghp_[redacted:github-token]"  # for CI', 3, 3),  # it does not move
        ('TOKEN[redacted:private-key]CI"', 2, 2),
        (f"{'a[redacted:x]' * (MAX_MASKS + 1)}", 2, 2),
        ("[redacted:secret]", 11, 11),
        ('TOKEN = "[redacted:not a kind]"  # for CI', 2, 2),
        ('TOKEN = "ghp_[redacted:github-token]"  # for CI', 99, 99),
    ],
)
def test_a_mask_proves_nothing_by_itself(quote: str, start: int, end: int) -> None:
    evidence = judged(quote, start, end)

    assert evidence.status == "missing"


def test_a_file_that_holds_a_mask_itself_is_compared_as_it_is() -> None:
    data = b"say('[redacted:x] stands here')\n"
    finding = Finding("low", "t", "c", "docs", (Evidence("a.py", 1, 1, data.decode()),), "docs")

    assert CitationCheck({"a.py": data}).judge(finding).status == "verified"


def test_many_masks_take_no_time() -> None:
    assert not stands_masked("a" + "[redacted:x]a" * MAX_MASKS + "b", "a" * 1_000_000)
