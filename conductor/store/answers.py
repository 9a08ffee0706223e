"""Reads the answer of an attempt: of its last turn, where it has turns."""

from conductor.core.folded.attempt import Attempt
from conductor.core.model.output import Channel
from conductor.store.port import Store


async def read_answer(store: Store, attempt: Attempt, most: int) -> tuple[bytes, int]:
    """Returns at most so many bytes of the answer from its beginning, and its whole size."""
    start, end = attempt.answer_range
    pieces, total = b"", 1
    while len(pieces) < min(total, most):
        piece, length = await store.channel(attempt.id, Channel.ANSWER, start + len(pieces), 0)
        total = (length if end is None else min(length, end)) - start
        if not piece:
            break
        pieces += piece
    return pieces[: min(max(total, 0), most)], max(total, 0)
