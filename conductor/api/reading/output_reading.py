"""ReadOutput: bytes of an attempt's output, cut between characters. Changes nothing, waits for nothing."""

from collections.abc import AsyncIterator

from conductor.api.messages.output import activity_message, read_channel
from conductor.api.reading.run_reading import RunReading
from conductor.core.folded.attempt import Attempt
from conductor.core.model.activity import LineReader
from conductor.core.model.output import Channel
from conductor.errors import InvalidRequestError, NotFoundError, Violation
from conductor.store.port import Store
from conductor.v1 import run_service_pb2 as pb

# One message; below the store's page, so that a character cut at its end is read whole with the next.
PIECE_BYTES = 256 * 1024


class OutputReading:
    """Reads channels."""

    def __init__(self, store: Store, reading: RunReading) -> None:
        self._store = store
        self._reading = reading

    async def read(self, request: pb.ReadOutputRequest) -> AsyncIterator[pb.ReadOutputResponse]:
        """Yields the bytes from `offset`, at most `limit`, up to the present end; at least one message."""
        channel = _read_channel(request)
        _, _, step = await self._reading.find_step(request.name)
        attempt = _find_attempt(step.attempts, request.attempt)
        if attempt is None:
            yield pb.ReadOutputResponse(offset=request.offset, complete=step.is_settled)
            return
        offset, end = request.offset, request.offset + request.limit if request.limit else None
        is_first = True
        lines = LineReader()
        while True:
            wanted = PIECE_BYTES if end is None else min(PIECE_BYTES, end - offset)
            data, total = await self._store.channel(attempt.id, channel, offset, wanted)
            begin, text = _whole_characters(data, is_first=is_first)
            if not text and not is_first:
                return
            words = text.decode("utf-8", "replace")
            yield pb.ReadOutputResponse(
                offset=min(offset + begin, max(total, offset)),
                text=words,
                total_bytes=total,
                complete=not attempt.is_live,
                activities=map(activity_message, lines.feed(words) if channel is Channel.ACTIVITY else ()),
            )
            offset += begin + len(text)
            if not text or (end is not None and offset >= end):
                return
            is_first = False


def _read_channel(request: pb.ReadOutputRequest) -> Channel:
    violations = [
        Violation(field, "must not be negative")
        for field, value in (("offset", request.offset), ("limit", request.limit))
        if value < 0
    ]
    channel = read_channel(request.channel or pb.Output.CHANNEL_ANSWER)
    if channel is None:
        violations.append(Violation("channel", "is no value of the enumeration"))
    if violations or channel is None:
        raise InvalidRequestError(*violations)
    return channel


def _find_attempt(attempts: tuple[Attempt, ...], wanted: str) -> Attempt | None:
    if not wanted:
        return attempts[-1] if attempts else None
    for attempt in attempts:
        if attempt.id == wanted:
            return attempt
    known = ", ".join(attempt.id for attempt in attempts) or "none yet"
    raise NotFoundError("attempt", wanted, hint=f"the step has {known}")


def _whole_characters(data: bytes, *, is_first: bool) -> tuple[int, bytes]:
    """Returns how many bytes to skip until the first character begins, and the whole characters from there."""
    begin = 0
    while is_first and begin < min(3, len(data)) and data[begin] & 0xC0 == 0x80:  # in the middle of one
        begin += 1
    return begin, data[begin : _last_border(data)]


def _last_border(data: bytes) -> int:
    """Returns where the last whole character ends: at most three bytes before the end."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            length = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) if length <= back else len(data) - back
    return len(data)
