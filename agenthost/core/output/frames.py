"""From sayings to frames: whatever waits is merged, and cut only where a frame would be too large.

Merging joined sayings gives the same frames as merging them in one go, so a replay that is cut at the same places of the
spool makes the same frames. Where to cut is the outbox's business.
"""

from collections.abc import Iterable, Iterator

from agenthost.core.output.said import Channel, Said, Text, Usage
from agenthost.core.output.utf8 import fitting

MAX_TEXT_BYTES = 256 * 1024


def merge(sayings: Iterable[Said]) -> Iterator[Said]:
    """Joins neighbouring texts of a channel, keeps the last of neighbouring usages, and cuts texts at the limit."""
    texts: list[str] = []
    waiting: Said | None = None
    for said in sayings:
        match waiting, said:
            case Text(channel=before), Text(channel=now, text=text) if before == now:
                texts.append(text)
                continue
            case Usage(), Usage():
                waiting = said
                continue
            case _:
                yield from _frames(waiting, texts)
        waiting = said
        texts = [said.text] if isinstance(said, Text) else []
    yield from _frames(waiting, texts)


def _frames(said: Said | None, texts: list[str]) -> Iterator[Said]:
    match said:
        case None:
            return
        case Text(channel=channel):
            yield from _cut(channel, "".join(texts))
        case _:
            yield said


def _cut(channel: Channel, text: str) -> Iterator[Text]:
    while text:
        part = fitting(text, MAX_TEXT_BYTES)
        yield Text(channel, part)
        text = text[len(part) :]
