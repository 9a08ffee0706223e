"""Text as every store keeps it: UTF-8, in pieces of whole characters."""

from collections.abc import Iterator

PIECE_BYTES = 64 * 1024  # at most, of one position; a page of history holds several pieces


def split_text(text: str) -> Iterator[bytes]:
    """Cuts a text into the pieces that get a position each; an empty text has none."""
    data = text.encode("utf-8", "replace")
    start = 0
    while start < len(data):
        end = min(start + PIECE_BYTES, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        yield data[start:end]
        start = end


def replace_surrogates(text: str) -> str:
    """Returns the text in a form that UTF-8 has: JSON may bring lone surrogates, which have none."""
    return text.encode("utf-8", "replace").decode()
