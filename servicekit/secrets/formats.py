"""Lists the forms of secrets: the heads that issuers gave their tokens, and how many random characters must follow.

A format is a head, perhaps a gap, and a window of as many characters as convince. The head is kept when the rest is masked: it is
not secret, it shows the reader what was there, and the conductor can still find the line that a finding quotes. A window is judged
by itself, so that text can be judged as it comes.

The list knows no issuer's checksums and does not guess at `password = …`: the reader loses what is masked wrongly.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

MAX_GAP = 8
_ALNUM = "A-Za-z0-9"
_URL_SAFE = "A-Za-z0-9_-"
_BASE64 = "A-Za-z0-9+/="
# A key's lines as they stand in files, in program text and in diffs.
_KEY_LINES = r"A-Za-z0-9+/=\s\\:,\"'|>#*."
_KEY_NAMES = ("", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED ")
_JWT = ("hbGciOi", "0eXAiOi", "raWQiOi", "lbmMiOi", "jdHkiOi", "qa3UiOi", "4NXQiOi", "4NWMiOi")


@dataclass(frozen=True, slots=True)
class SecretFormat:
    """Describes one kind of secret. `window` characters out of `alphabet` follow the head; further such characters belong to it.

    A head must begin a word unless it `stands_anywhere`: words such as `risk-` and `task-` end in one.
    """

    kind: str
    heads: tuple[str, ...]
    alphabet: str
    window: int
    gap: str = ""
    is_block: bool = False
    stands_anywhere: bool = False
    gap_pattern: re.Pattern[str] = field(init=False)
    window_pattern: re.Pattern[str] = field(init=False)
    body_pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        dash = "-" if self.is_block else ""
        # The body of a block goes on to the five dashes of its end; dashes that may become them are left for later.
        body = rf"(?:[{self.alphabet}]|-(?!----)(?!-*\Z))*+" if self.is_block else f"[{self.alphabet}]*+"
        object.__setattr__(self, "gap_pattern", re.compile(f"[{self.gap}]{{1,{MAX_GAP}}}+" if self.gap else ""))
        object.__setattr__(self, "window_pattern", re.compile(f"[{self.alphabet}{dash}]{{0,{self.window}}}+"))
        object.__setattr__(self, "body_pattern", re.compile(body))

    def end_of_body(self, text: str, at: int) -> int:
        """Returns where the secret ends, from a place inside it on."""
        body = self.body_pattern.match(text, at)
        return at if body is None else body.end()

    @property
    def mask(self) -> str:
        """Returns the text that takes the secret's place."""
        return f"[redacted:{self.kind}]"


FORMATS = (
    SecretFormat("aws-key", ("AKIA", "ASIA"), "A-Z0-9", 16),
    SecretFormat(
        "aws-secret",
        ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "SecretAccessKey", "secretAccessKey", "aws_session_token"),
        _BASE64,
        40,
        gap=r"\s\"':>,=",
    ),
    SecretFormat("github-token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), _ALNUM, 20, stands_anywhere=True),
    SecretFormat("github-token", ("github_pat_",), "A-Za-z0-9_", 20, stands_anywhere=True),
    SecretFormat(
        "gitlab-token",
        ("glpat-", "glrt-", "gldt-", "glptt-", "glcbt-", "glsoat-"),
        "A-Za-z0-9_.-",
        18,
        stands_anywhere=True,
    ),
    SecretFormat("slack-token", tuple(f"xox{letter}-" for letter in "abeoprs"), "A-Za-z0-9-", 18, stands_anywhere=True),
    SecretFormat("slack-token", ("xapp-",), "A-Za-z0-9-", 20),
    SecretFormat("slack-webhook", ("hooks.slack.com/services/",), "A-Za-z0-9/", 20),
    SecretFormat("google-key", ("AIza",), _URL_SAFE, 30),
    SecretFormat("google-token", ("ya29.", "GOCSPX-"), "A-Za-z0-9_.-", 20),
    SecretFormat("api-key", ("sk-",), _URL_SAFE, 20),
    SecretFormat("stripe-key", ("sk_live_", "rk_live_", "sk_test_", "rk_test_"), _ALNUM, 16),
    SecretFormat("npm-token", ("npm_",), _ALNUM, 30),
    SecretFormat("pypi-token", ("pypi-AgE",), _URL_SAFE, 30),
    SecretFormat("sendgrid-key", ("SG.",), "A-Za-z0-9_.-", 40),
    SecretFormat("huggingface-token", ("hf_",), _ALNUM, 30),
    SecretFormat("conductor-token", ("cdr_",), _ALNUM, 30, stands_anywhere=True),
    SecretFormat("jwt", tuple(f"eyJ{start}" for start in _JWT), "A-Za-z0-9_.-", 20, stands_anywhere=True),
    SecretFormat("authorization", ("Bearer", "bearer", "BEARER"), "A-Za-z0-9._~+/=-", 20, gap=r" \t"),
    SecretFormat(
        "authorization",
        ("Authorization: Basic", "authorization: Basic", "authorization: basic", '"Authorization": "Basic'),
        _BASE64,
        12,
        gap=r" \t",
    ),
    SecretFormat("api-key", ("x-api-key", "X-Api-Key", "X-API-Key", "X-API-KEY"), _URL_SAFE, 20, gap=r"\s\"':="),
    SecretFormat(
        "private-key", tuple(f"-----BEGIN {name}PRIVATE KEY-----" for name in _KEY_NAMES), _KEY_LINES, 24, is_block=True
    ),
    SecretFormat("private-key", ("-----BEGIN PGP PRIVATE KEY BLOCK-----",), _KEY_LINES, 24, is_block=True),
)
FORMAT_BY_HEAD: Mapping[str, SecretFormat] = {head: known for known in FORMATS for head in known.heads}


def _any_of(heads: Iterable[str]) -> str:
    """Makes a pattern for any head, those with the same first letter together: three times as fast as one after the other."""
    groups = groupby(sorted(heads), key=lambda head: head[0])
    return "|".join(
        f"{re.escape(first)}(?:{'|'.join(re.escape(head[1:]) for head in group)})" for first, group in groups
    )


# What must stand before a head is asked afterwards: a pattern that begins with letters is searched for some times faster.
HEAD_PATTERN = re.compile(_any_of(FORMAT_BY_HEAD))
# A head begins a word; what is spelt as `\n` in a string of a program or of JSON ends one.
_WORD_GOES_ON = re.compile(rf"(?<=[{_ALNUM}])(?<!\\[nrt])")
_CONVINCING = re.compile(r"(?:[^0-9A-Z]*+[0-9A-Z]){2}")
# How much of what went before can still matter: a head, its gap, and what decides whether the head begins a word.
MAX_LEAD = max(map(len, FORMAT_BY_HEAD)) + MAX_GAP + 2


def begins_word(text: str, at: int) -> bool:
    """Says that a head may stand at this place."""
    return _WORD_GOES_ON.match(text, at) is None


def is_convincing(window: str) -> bool:
    """Says that these characters look random: words, placeholders and class names have few capitals and digits."""
    return _CONVINCING.match(window) is not None and "----" not in window
