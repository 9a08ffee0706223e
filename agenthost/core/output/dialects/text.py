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
        text = self._decoder.decode(data, final)
        if final and (half := self._decoder.getstate()[0]):
            # `utf-8-sig` waits for the rest of a byte order mark, even at the end.
            text += half.decode(errors="replace")
        if text:
            yield Output(self._channel, text)
