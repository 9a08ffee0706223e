"""Lists the fields of Gemini's API: generateContent, countTokens, embedContent.

Sources: its reference, and what gemini 0.61 was seen to send. Its endpoints take `systemInstruction` and `system_instruction`
alike, so both are listed; a request that has both is refused.
"""

import re
from collections.abc import Mapping
from typing import Any

from agenthost.core.models.fields.nodes import (
    INLINE,
    PLAIN,
    Called,
    Each,
    Fields,
    Found,
    Node,
    Provided,
    anything,
    plain,
)
from agenthost.core.models.fields.tools import TOOLS
from agenthost.core.models.provider_tools import named_models

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class ProtoFields(Fields):
    """A place for objects whose fields have two spellings."""

    def __init__(self, known: Mapping[str, Node], scalar: Node | None = None) -> None:
        super().__init__({**{_snake(name): node for name, node in known.items()}, **known}, scalar)

    def judge(self, value: Any, path: str, found: Found) -> None:
        """Adds fields that are not listed, or stand there in both spellings."""
        if isinstance(value, Mapping):
            seen = set[str]()
            for name in value:
                if _snake(name) in seen:
                    found.add_field(f"{path}.{name}" if path else name)
                seen.add(_snake(name))
        super().judge(value, path, found)


def _snake(name: str) -> str:
    return _HUMP.sub("_", name).lower()


_BLOB = ProtoFields({**plain("mimeType displayName"), "data": INLINE}, scalar=INLINE)
_SOURCES: dict[str, Node] = {"inlineData": _BLOB, "fileData": Provided("url_sources")}
_PART = ProtoFields(
    {
        **plain("text thought thoughtSignature"),
        **_SOURCES,
        "functionCall": ProtoFields({**plain("id name willContinue"), **anything("args partialArgs")}),
        "functionResponse": ProtoFields(
            {
                **plain("id name willContinue scheduling"),
                **anything("response"),
                "parts": ProtoFields(_SOURCES),
            }
        ),
        "executableCode": Provided("code_execution"),
        "codeExecutionResult": Provided("code_execution"),
        "videoMetadata": ProtoFields(plain("startOffset endOffset fps")),
        "mediaResolution": ProtoFields(plain("level numTokens")),
        "partMetadata": Each(PLAIN),
    }
)
_CONTENT = ProtoFields({**plain("role"), "parts": _PART})
_GENERATION = ProtoFields(
    {
        **plain(
            "stopSequences responseMimeType responseModalities candidateCount maxOutputTokens temperature topP topK seed"
        ),
        **plain("presencePenalty frequencyPenalty responseLogprobs logprobs mediaResolution audioTimestamp"),
        **plain("enableEnhancedCivicAnswers"),
        **anything("responseSchema responseJsonSchema _responseJsonSchema speechConfig"),
        "thinkingConfig": ProtoFields(plain("includeThoughts thinkingBudget thinkingLevel")),
        "imageConfig": ProtoFields(plain("aspectRatio imageSize")),
    }
)
_TOOL_CONFIG = ProtoFields(
    {
        "functionCallingConfig": ProtoFields(plain("mode allowedFunctionNames streamFunctionCallArguments")),
        "retrievalConfig": ProtoFields({**plain("languageCode"), "latLng": ProtoFields(plain("latitude longitude"))}),
    }
)
_GENERATE: dict[str, Node] = {
    "model": Called(named_models, PLAIN),
    "contents": _CONTENT,
    "systemInstruction": _CONTENT,
    "tools": TOOLS,
    "toolConfig": _TOOL_CONFIG,
    "safetySettings": ProtoFields(plain("category threshold method")),
    "generationConfig": _GENERATION,
    "cachedContent": Provided("cached_content"),
    "labels": Each(PLAIN),
}
GENERATE = ProtoFields(_GENERATE)
COUNT = ProtoFields({**_GENERATE, "generateContentRequest": GENERATE})
_EMBED: dict[str, Node] = {
    **plain("taskType title outputDimensionality"),
    "model": Called(named_models, PLAIN),
    "content": _CONTENT,
}
EMBED = ProtoFields({**_EMBED, "requests": ProtoFields(_EMBED)})
