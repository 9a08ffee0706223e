"""Finds the list of fields of a request by its path."""

import re

from agenthost.core.models.fields.chat import CHAT, COMPLETIONS, EMBEDDINGS, LIST
from agenthost.core.models.fields.gemini import COUNT, EMBED, GENERATE
from agenthost.core.models.fields.messages import MESSAGES
from agenthost.core.models.fields.nodes import Fields
from agenthost.core.models.fields.responses import RESPONSES

_BY_PATH: tuple[tuple[str, Fields], ...] = (
    (r"/chat/completions", CHAT),
    (r"/completions", COMPLETIONS),
    (r"/embeddings", EMBEDDINGS),
    (r"/responses(/compact)?", RESPONSES),
    (r"/messages(/count_tokens)?", MESSAGES),
    (r"/models/[^/]+:(stream)?generateContent", GENERATE),
    (r"/models/[^/]+:countTokens", COUNT),
    (r"/models/[^/]+:(batchE|e)mbedContents?", EMBED),
)
_PATTERNS = tuple((re.compile(rf".*{path}/?", re.IGNORECASE), fields) for path, fields in _BY_PATH)


def fields_of(method: str, path: str) -> Fields | None:
    """Returns the list for a path; None for one that no list knows."""
    if method == "GET":
        return LIST
    return next((fields for pattern, fields in _PATTERNS if pattern.fullmatch(path)), None)
