"""Keeps E10. The secrets here are drawn by lot and put together here: none of them opens anything."""

import json
import random
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agenthost
import conductor
from agenthost.core.output.redaction import VALUE_MASK, Redaction, Redactor, redacted, redacted_json
from agenthost.core.output.report import ToolResult
from servicekit.secrets.formats import FORMAT_BY_HEAD, FORMATS, MAX_LEAD

KNOWN = "a-known/value+42"
LONGER = "a-known/value+42-and-more"


def drawn(count: int, letters: str = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789") -> str:
    return "".join(random.Random(count).choices(letters, k=count))


UPPER = "ABCDEFGHJKLMNPQRSTUVWXYZ234567"
KEY_BODY = "\n".join("MIIEow" + drawn(58) for _ in range(4)) + "\n"
PLANTED = {
    "AKIA" + drawn(16, UPPER): "AKIA[redacted:aws-key]",
    f'aws_secret_access_key = "{drawn(40)}"': 'aws_secret_access_key = "[redacted:aws-secret]"',
    "ghp_" + drawn(36): "ghp_[redacted:github-token]",
    "github_pat_" + drawn(22) + "_" + drawn(59): "github_pat_[redacted:github-token]",
    "glpat-" + drawn(20): "glpat-[redacted:gitlab-token]",
    "xoxb-123456789012-" + drawn(24): "xoxb-[redacted:slack-token]",
    "https://hooks.slack.com/services/T0" + drawn(40): "https://hooks.slack.com/services/[redacted:slack-webhook]",
    "AIza" + drawn(35): "AIza[redacted:google-key]",
    "sk-proj-" + drawn(60): "sk-[redacted:api-key]",
    "sk-ant-api03-" + drawn(90): "sk-[redacted:api-key]",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0." + drawn(43): "eyJhbGciOi[redacted:jwt]",
    "Authorization: Bearer " + drawn(40): "Authorization: Bearer [redacted:authorization]",
    "Authorization: Basic dXNlcjpwYXNzd29yZA==": "Authorization: Basic [redacted:authorization]",
    f'{{"x-api-key": "{drawn(40)}"}}': '{"x-api-key": "[redacted:api-key]"}',
    f"-----BEGIN RSA PRIVATE KEY-----\n{KEY_BODY}-----END RSA PRIVATE KEY-----": (
        "-----BEGIN RSA PRIVATE KEY-----[redacted:private-key]-----END RSA PRIVATE KEY-----"
    ),
    KNOWN: VALUE_MASK,
    LONGER: VALUE_MASK,
}


def pieces_of(text: str, cuts: Iterable[int]) -> list[str]:
    borders = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:end] for start, end in pairwise(borders)]


def told_after_each(pieces: Iterable[str]) -> tuple[list[str], str]:
    redactor = Redactor([KNOWN, LONGER])
    told, so_far = [], ""
    for piece in pieces:
        so_far += redactor.feed(piece)
        told.append(so_far)
    return told, so_far + redactor.finish()


fragments = st.sampled_from(
    [
        *PLANTED,
        *FORMAT_BY_HEAD,
        "\n",
        " ",
        "\\n",
        '"',
        "-",
        "-----",
        "-----END PRIVATE KEY-----",
        KNOWN[:9],
        "sk-sk-",
        "Aa1" * 9,
    ]
)
texts = st.lists(fragments | st.text(alphabet="aB3-_ .\n", max_size=6), max_size=8).map("".join)


@given(texts, st.lists(st.integers(0, 5000), max_size=12))
def test_what_is_told_after_any_text_does_not_depend_on_how_it_was_cut(text: str, cuts: list[int]) -> None:
    one_by_one, whole = told_after_each(text)
    pieces = pieces_of(text, cuts)
    told, joined = told_after_each(pieces)

    assert joined == whole == redacted(text, [KNOWN, LONGER])
    ends = [sum(map(len, pieces[: n + 1])) for n in range(len(pieces))]
    assert told == [one_by_one[end - 1] for end in ends if end]


@pytest.mark.parametrize(("secret", "expected"), PLANTED.items(), ids=lambda text: text[:12])
def test_secrets_are_masked_wherever_they_are_cut(secret: str, expected: str) -> None:
    text, masked = f"It holds {secret} there; and\n{secret}\n.", f"It holds {expected} there; and\n{expected}\n."
    for at in range(len(text)):
        redactor = Redactor([KNOWN, LONGER])
        assert redactor.feed(text[:at]) + redactor.feed(text[at:]) + redactor.finish() == masked


@pytest.mark.parametrize("secret", PLANTED, ids=lambda text: text[:12])
def test_no_beginning_of_a_secret_gives_more_away_than_it_takes_to_know_one(secret: str) -> None:
    """Passes on only the head of a secret while it comes, never one character of its inside."""
    redactor = Redactor([KNOWN, LONGER])
    told = "".join(redactor.feed(character) for character in secret)

    assert PLANTED[secret].startswith(told)


@pytest.mark.parametrize("secret", PLANTED, ids=lambda text: text[:12])
def test_secrets_in_strings_of_json_are_masked_and_json_stays_json(secret: str) -> None:
    value = {"quote": f"a\n{secret}\n", secret: [1, "é", '"']}
    masked = json.loads(redacted_json(json.dumps(value, ensure_ascii=False), [KNOWN, LONGER]))

    assert masked == {"quote": f"a\n{PLANTED[secret]}\n", PLANTED[secret]: [1, "é", '"']}


def test_heads_that_no_word_ends_in_are_found_within_words() -> None:
    token = "ghp_" + drawn(36)
    assert redacted(f"it is{token}") == "it isghp_[redacted:github-token]"
    assert (
        redacted(f"a\\n{token}\\tAKIA{drawn(16, UPPER)}") == "a\\nghp_[redacted:github-token]\\tAKIA[redacted:aws-key]"
    )


def test_json_that_was_cut_is_masked_too() -> None:
    text = json.dumps({"quote": "ghp_" + drawn(36)})
    assert redacted_json(text[:-5]) == '{"quote": "ghp_[redacted:github-token]'


@pytest.mark.parametrize("number", ["48151623", "-48151623", "9948151623.5e3", "[48151623]"])
def test_a_secret_that_is_a_number_is_masked_and_json_stays_json(number: str) -> None:
    masked = redacted_json(f'{{"line": {number}, "n": 12, "word": "48151623"}}', ["48151623"])

    assert "48151623" not in masked
    assert json.loads(masked)["n"] == 12


def test_a_secret_in_the_spelling_of_json_is_masked_in_plain_text() -> None:
    secret = 'pass"wörd\n42'
    for spelt in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        (masked,) = Redaction([secret]).feed([ToolResult("1", failed=False, text=f"it is {spelt}.")])
        assert masked == ToolResult("1", failed=False, text=f"it is {VALUE_MASK}.")


def test_words_flow_as_they_come() -> None:
    text = "The task-runner's sk-learn estimator asks a Bearer of npm_ tokens, AKIA and eyJ; a-kno"
    words = text.split(" ")
    redactor = Redactor([KNOWN])
    for word in words[:-1]:
        assert redactor.feed(f"{word} ") == f"{word} "
    assert redactor.feed(words[-1]) == ""
    assert redactor.feed("w nothing") == "a-know nothing"


@given(texts)
def test_what_is_held_back_is_bounded(text: str) -> None:
    redactor = Redactor([KNOWN, LONGER])
    held = 0
    for character in text:
        redactor.feed(character)
        held = max(held, len(redactor._formats._held) + len(redactor._values._held))
    assert held < max(one.window for one in FORMATS) + len(LONGER)
    assert len(redactor._formats._lead) <= MAX_LEAD


def test_no_head_stands_in_another() -> None:
    """Only the first head at a place is tried."""
    assert not [
        (one, other) for one in FORMAT_BY_HEAD for other in FORMAT_BY_HEAD if one != other and other.startswith(one)
    ]


@pytest.mark.parametrize("package", [agenthost, conductor])
def test_ordinary_program_text_is_not_masked(package: object) -> None:
    files = sorted(Path(str(package.__file__)).parent.rglob("*.py"))  # type: ignore[attr-defined]
    assert len(files) > 50
    for file in files:
        text = file.read_text()
        assert redacted(text, escapes=False) == text, file


@pytest.mark.parametrize(
    "text",
    [
        "sk-toggleable__label-arrow:before sk-estimator-doc-link and risk-Assessment2024Final-Version9",
        "Bearer authentication-is-described-in-the-guide",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "Basic AuthenticationHandler2024Factory",
        'if "-----BEGIN PRIVATE KEY-----" in text and "-----END PRIVATE KEY-----" in text:',
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----",
        "d41d8cd98f00b204e9800998ecf8427e 550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_what_only_looks_a_little_like_a_secret_is_not_masked(text: str) -> None:
    assert redacted(text) == text


def test_values_too_short_to_mean_anything_are_not_masked() -> None:
    assert redacted("the word is test", ["test", ""]) == "the word is test"


def test_a_million_short_strings_cost_little() -> None:
    """An agent could stall its host with one line, if each string made a mask of its own."""
    text = json.dumps([""] * 250_000)
    values = [f"secret-value-{number}" for number in range(100)]

    began = time.process_time()
    assert redacted_json(text, values) == text
    assert time.process_time() - began < 5.0  # it was 58 s


def test_a_mask_that_the_agent_writes_is_told_from_the_host_s_own_however_the_text_is_cut() -> None:
    """Keeps E10 F4: otherwise an agent could have any word of a line passed over."""
    text = f"[redacted:secret] and [redacted::x] [redacted [red {KNOWN} [redacted:"
    told = "[redacted::secret] and [redacted:::x] [redacted [red [redacted:secret] [redacted::"

    for size in range(1, len(text)):
        redactor = Redactor([KNOWN])
        pieces = [redactor.feed(text[at : at + size]) for at in range(0, len(text), size)]
        assert "".join(pieces) + redactor.finish() == told
    assert redacted_json(json.dumps({"quote": text}), [KNOWN]) == json.dumps({"quote": told})
    assert redacted(text, [KNOWN], escapes=False) == text.replace(KNOWN, "[redacted:secret]")
