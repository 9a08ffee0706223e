"""From sayings to frames: whatever waits is merged, and cut only where a frame would be too large.

Merging joined sayings gives the same frames as merging them in one go, so a replay that is cut at the same places of the
spool makes the same frames. Where to cut is the outbox's business.
"""

from collections.abc import Iterable, Iterator

from agenthost.core.output.report import Channel, Output, Report, Usage
from agenthost.core.output.utf8 import fitting

MAX_TEXT_BYTES = 256 * 1024


def merge(sayings: Iterable[Report]) -> Iterator[Report]:
    """Joins neighbouring texts of a channel, keeps the last of neighbouring usages, and cuts texts at the limit."""
    texts: list[str] = []
    waiting: Report | None = None
    for said in sayings:
        match waiting, said:
            case Output(channel=before), Output(channel=now, text=text) if before == now:
                texts.append(text)
                continue
            case Usage(), Usage():
                waiting = said
                continue
            case _:
                yield from _frames(waiting, texts)
        waiting = said
        texts = [said.text] if isinstance(said, Output) else []
    yield from _frames(waiting, texts)


def _frames(said: Report | None, texts: list[str]) -> Iterator[Report]:
    match said:
        case None:
            return
        case Output(channel=channel):
            yield from _cut(channel, "".join(texts))
        case _:
            yield said


def _cut(channel: Channel, text: str) -> Iterator[Output]:
    while text:
        part = fitting(text, MAX_TEXT_BYTES)
        yield Output(channel, part)
        text = text[len(part) :]
