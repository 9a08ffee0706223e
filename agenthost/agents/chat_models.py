"""Chooses the model to ask of those that an endpoint lists, where neither the flow nor the operator names one."""

import re
from collections.abc import Iterable, Mapping

# How a word of a name begins, and why such a model cannot chat.
UNFIT: Mapping[str, str] = {
    "embed": "returns vectors, as nomic-embed-text and embeddinggemma do",
    "bge": "returns vectors or scores",
    "minilm": "returns vectors",
    "rerank": "returns scores",
    "whisper": "hears speech",
    "transcribe": "hears speech",
    "tts": "speaks",
    "dall-e": "paints",
    "stable-diffusion": "paints",
    "moderation": "returns labels",
}
_UNFIT = re.compile(rf"(?<![a-z])(?:{'|'.join(UNFIT)})")


def first_chat_model(names: Iterable[str]) -> str:
    """Returns the first name whose model may chat; empty where there is none."""
    return next((name for name in names if can_chat(name)), "")


def can_chat(name: str) -> bool:
    """Returns whether a model may chat, as far as its name tells; the folder or the owner before it tells nothing."""
    return bool(name) and not _UNFIT.search(name.rpartition("/")[2].lower())
