"""A step with items: listing them, and gathering what they gave. Rounds of a loop are gathered in the same way."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conductor.core.numbers import decidable
from conductor.evaluation.evidence import merging
from conductor.evaluation.evidence.findings import count
from conductor.evaluation.pinned import failed, read_kept_bundle, read_seen
from conductor.evaluation.reports.results import Result, read_results
from conductor.evaluation.workers.frames import Frame, Task
from conductor.flows.language.bands import for_band
from conductor.flows.language.expressions import ExpressionError, list_items
from conductor.flows.library.bundle import canonical_json

MAX_ITEMS_BYTES = 4 * 1024 * 1024
MAX_TEXT_CHARACTERS = 1024 * 1024
MAX_OUTPUT_BYTES = 16 * 1024 * 1024
MAX_TITLE_CHARACTERS = 120


def items(frame: Frame) -> Frame:
    """Lists the items of a step, one on each line. Those above `max_items` are left out."""
    step, seen = read_seen(frame)
    names = decidable(seen)
    try:
        found = list_items(step.foreach.items, names)
        most = for_band(step.foreach.max_items, seen["band"]) or len(found)
        lines = b"\n".join(json.dumps(item, ensure_ascii=False).encode() for item in found[:most])
    except (ExpressionError, TypeError, ValueError) as error:
        return failed("GUARD_FAILED", f"the items of step {step.id} cannot be listed: {error}")
    if len(lines) > MAX_ITEMS_BYTES:
        text = f"the items of step {step.id} have {len(lines)} bytes; the limit is {MAX_ITEMS_BYTES}"
        return failed("EVALUATION_LIMIT", text)
    return Frame({"count": min(most, len(found)), "left_out": max(0, len(found) - most)}, (lines,))


def gather(frame: Frame) -> Frame:
    """Gathers the results of the items, the texts of their last steps, and the findings of all their steps, each once."""
    items, documents = json.loads(frame.attachments[2]), list(frame.header["documents"].values())
    text = _gathered_text(items).encode(errors="replace")
    _shorten_texts(items)
    output = json.dumps(items, ensure_ascii=False).encode(errors="replace")
    if len(output) > MAX_OUTPUT_BYTES:
        step = frame.header["step"]
        told = f"the results of the items of step {step} have {len(output)} bytes; the limit is {MAX_OUTPUT_BYTES}"
        return failed("EVALUATION_LIMIT", told)
    if not documents:
        return Frame({"counts": {}}, (text, b"", output))
    step = read_kept_bundle(frame.attachments[0]).step(frame.header["step"])
    found = merging.agree(documents, step.panel.min_agree) if step.HasField("panel") else merging.gather(documents)
    return Frame({"counts": count(found.findings)}, (text, canonical_json(found.as_json()), output))


def _shorten_texts(items: Sequence[Mapping[str, Any]]) -> None:
    """Keeps the beginnings of the items' texts. `text_bytes` still tells readers the whole size."""
    results = [result for item in items for result in item["steps"].values()]
    most = MAX_TEXT_CHARACTERS // max(1, len(results))
    for result in results:
        result["text"] = result.get("text", "")[:most]


def _gathered_text(items: Sequence[Mapping[str, Any]]) -> str:
    parts: list[str] = []
    room = MAX_TEXT_CHARACTERS
    for number, item in enumerate(items, start=1):
        for text in _last_texts(read_results(item["steps"])):
            part = (
                f"[{number}: {_title(item['item'])}]\n{text}\n" if item["item"] is not None else f"[{number}]\n{text}\n"
            )
            room -= len(part)
            if room < 0:
                return "\n".join((*parts, f"[Left out here: the texts of items {number} to {len(items)}.]\n"))
            parts.append(part)
    return "\n".join(parts)


def _last_texts(results: Mapping[str, Result]) -> Iterator[str]:
    """Yields the text of the last step of an item that has one."""
    texts = [text for result in results.values() if (text := result.text.strip())]
    yield from texts[-1:]


def _title(item: Any) -> str:
    text = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
    line = " ".join(text.split())
    return line if len(line) <= MAX_TITLE_CHARACTERS else f"{line[:MAX_TITLE_CHARACTERS]}…"


TASKS: Mapping[str, Task] = {"items": items, "gather": gather}
