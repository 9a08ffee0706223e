"""Tells of steps what their findings do not cover: what a limit left out, and files that an agent could not judge."""

from collections.abc import Mapping
from typing import Any

from conductor.core.folded.run import Run
from conductor.core.model.plan import ForeachPlan


def gaps(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns how many findings a limit left out, and how many files an agent could not judge, by step; if any."""
    told = [
        {"step": name, "left_out": found.get("left_out", 0), "unjudged": found.get("unjudged", 0)}
        for name, found in documents.items()
        if found.get("left_out") or found.get("unjudged")
    ]
    return {"gaps": told} if told else {}


def notes_of(run: Run, documents: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Returns what must be told of steps: what their findings do not cover, and items that were left out."""
    notes: dict[str, list[str]] = {
        name: list(found["notes"]) for name, found in documents.items() if found.get("notes")
    }
    for name, step in run.steps.items():
        if step.items.left_out:
            more = "1 more item was" if step.items.left_out == 1 else f"{step.items.left_out} more items were"
            text = f"{more} left out: the step takes the first {step.items.count}"
            notes.setdefault(name, []).append(text)
        # A panel that needs no agent tells in another place which it went without: see `reports.unchecked`.
        if isinstance(work := step.plan.work, ForeachPlan) and work.absent and work.min_success != 0:
            text = f"no host can run {', '.join(work.absent)}, so the panel was asked without"
            notes.setdefault(name, []).append(text)
    return notes
