"""The dialect `text`: everything is text of one channel. It reads stderr, too."""

import codecs
from collections.abc import Iterator

from agenthost.core.output.report import Channel, Output, Parsed


class PlainText:
    """Reads text of one channel; with `passes_mark` it may begin with a byte order mark."""

    def __init__(self, channel: Channel = Channel.ANSWER, *, passes_mark: bool = False) -> None:
        self._channel = channel
        self._decoder = codecs.getincrementaldecoder("utf-8-sig" if passes_mark else "utf-8")(errors="replace")

    def feed(self, data: bytes) -> Iterator[Parsed]:
        """Yields the characters that are complete."""
        yield from self._decode(data, final=False)

    def finish(self) -> Iterator[Parsed]:
        """Yields what was left of a character."""
        yield from self._decode(b"", final=True)

    def _decode(self, data: bytes, *, final: bool) -> Iterator[Parsed]:
        if text := self._decoder.decode(data, final):
            yield Output(self._channel, text)
