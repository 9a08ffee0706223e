"""From reports to frames: neighbouring reports are merged, and a text is cut only where its frame would be too large.

Merging reports that were merged before gives the same frames as merging them in one go. So a replay that is cut at the same
places of the spool makes the same frames. The outbox decides where to cut.
"""

from collections.abc import Iterable, Iterator

from agenthost.core.output.report import Channel, Output, Report, Usage
from agenthost.core.output.utf8 import fitting

MAX_TEXT_BYTES = 256 * 1024


def merge(reports: Iterable[Report]) -> Iterator[Report]:
    """Joins neighbouring texts of a channel, keeps the last of neighbouring usages, and cuts texts at the limit."""
    texts: list[str] = []
    waiting: Report | None = None
    for report in reports:
        match waiting, report:
            case Output(channel=before), Output(channel=now, text=text) if before == now:
                texts.append(text)
                continue
            case Usage(), Usage():
                waiting = report
                continue
            case _:
                yield from _frames(waiting, texts)
        waiting = report
        texts = [report.text] if isinstance(report, Output) else []
    yield from _frames(waiting, texts)


def _frames(report: Report | None, texts: list[str]) -> Iterator[Report]:
    match report:
        case None:
            return
        case Output(channel=channel):
            yield from cut_text(channel, "".join(texts))
        case _:
            yield report


def cut_text(channel: Channel, text: str) -> Iterator[Output]:
    """Yields a text as frames."""
    while text:
        part = fitting(text, MAX_TEXT_BYTES)
        yield Output(channel, part)
        text = text[len(part) :]
