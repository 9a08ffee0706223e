"""The form of tokens. Keeps K12."""

import pytest

from conductor.core.access.tokens import digest_of_token, is_token, make_token
from servicekit.secrets.mask import FormatMask

TOKEN = make_token(bytes(range(32)))


def test_a_token_has_a_head_256_bits_and_a_checksum() -> None:
    assert TOKEN.startswith("cdr_")
    assert len(TOKEN) == 53
    assert is_token(TOKEN)
    assert len({make_token(bytes([byte]) * 32) for byte in range(256)}) == 256


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cdr_",
        TOKEN[:-1],
        f"{TOKEN}0",
        f" {TOKEN}",
        f"{TOKEN}\n",
        TOKEN.replace("cdr_", "cdx_"),
        TOKEN[:20] + ("a" if TOKEN[20] != "a" else "b") + TOKEN[21:],
        TOKEN[:-6] + "000000",
        "cdr_" + "ß" * 49,
    ],
)
def test_a_mistyped_token_is_none(text: str) -> None:
    assert not is_token(text)


def test_what_is_kept_of_a_token_does_not_contain_it() -> None:
    assert TOKEN not in digest_of_token(TOKEN)
    assert len(digest_of_token(TOKEN)) == 64


def test_masks_of_secrets_know_a_token() -> None:
    mask = FormatMask()

    assert mask.feed(f"export CONDUCTOR_TOKEN={TOKEN}\n") + mask.finish() == (
        "export CONDUCTOR_TOKEN=cdr_[redacted:conductor-token]\n"
    )
