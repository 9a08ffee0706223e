"""Lists the fields of chat completions, completions and embeddings, as OpenAI and the servers that follow it take them.

Sources: OpenAI's reference of chat completions; for what assistants said before (reasoning_content, reasoning_details,
thinking_blocks) DeepSeek, OpenRouter and LiteLLM; what qwen 0.24, opencode 1.18, pi 1.6 and `reader` were seen to send.
"""

from agenthost.core.models.fields.nodes import (
    ANY,
    DATA,
    INLINE,
    PLAIN,
    Each,
    Fields,
    Kinds,
    Node,
    Provided,
    anything,
    plain,
)
from agenthost.core.models.fields.sampling import SAMPLING
from agenthost.core.models.fields.tools import CACHE, CHOICE, TOOLS

_CACHED: dict[str, Node] = {**plain("type"), "cache_control": CACHE}


def _media(name: str) -> Fields:
    source = Fields({"url": DATA, **plain("detail format mime_type max_pixels min_pixels fps")}, scalar=DATA)
    return Fields({**_CACHED, name: source, **plain("detail max_pixels min_pixels fps uuid")})


_THOUGHT = Fields({**_CACHED, **plain("thinking signature data text")})
PARTS = Kinds(
    {
        "text": Fields({**_CACHED, **plain("text"), **anything("annotations citations")}),
        "input_text": Fields({**_CACHED, **plain("text")}),
        "output_text": Fields({**_CACHED, **plain("text"), **anything("annotations logprobs")}),
        "refusal": Fields({**_CACHED, **plain("refusal")}),
        "thinking": _THOUGHT,
        "redacted_thinking": _THOUGHT,
        "reasoning": Fields({**_CACHED, **plain("text reasoning signature")}),
        "image_url": _media("image_url"),
        "input_image": _media("image_url"),
        "video_url": _media("video_url"),
        "audio_url": _media("audio_url"),
        "input_audio": Fields({**_CACHED, "input_audio": Fields({"data": INLINE, "format": PLAIN}, scalar=INLINE)}),
        "file": Fields({**_CACHED, "file": Fields({"file_data": INLINE, "filename": PLAIN}, scalar=INLINE)}),
    },
    usual="text",
)
_CALL = Fields(
    {
        **plain("id type index"),
        "function": Fields({**plain("name strict"), **anything("arguments"), **plain("thought_signature")}),
        "custom": Fields(plain("name input")),
        "extra_content": Each(
            Each(PLAIN)
        ),  # Gemini's signature of a thought, as its OpenAI-compatible endpoint hands it out
    }
)
_REASONING_DETAIL = Fields(plain("type text summary data signature id format index"))
_MESSAGE = Fields(
    {
        **plain(
            "role name tool_call_id tool_name refusal reasoning reasoning_content reasoning_text reasoning_opaque prefix partial"
        ),
        **plain("id thinking signature is_error phase"),
        **anything("annotations"),
        "content": PARTS,
        "tool_calls": _CALL,
        "function_call": Fields({"name": PLAIN, "arguments": ANY}),
        "reasoning_details": _REASONING_DETAIL,
        "thinking_blocks": _THOUGHT,
        "audio": Fields(plain("id")),
        "cache_control": CACHE,
    }
)
_FORMAT = Fields(
    {
        **plain("type grammar"),
        **anything("schema"),
        "json_schema": Fields({**plain("name description strict"), **anything("schema")}),
    }
)
_FUNCTION = Fields({**plain("name description strict"), **anything("parameters")})

CHAT = Fields(
    {
        **SAMPLING,
        **plain("modalities"),
        "messages": _MESSAGE,
        "tools": TOOLS,
        "tool_choice": CHOICE,
        "functions": _FUNCTION,
        "function_call": Fields(plain("name")),
        "response_format": _FORMAT,
        "prediction": Fields({"type": PLAIN, "content": PARTS}),
        "audio": Fields(plain("voice format")),
        "cache_control": CACHE,
        "prompt": Provided("stored_prompt"),
    }
)
COMPLETIONS = Fields({**SAMPLING, **plain("prompt input_extra"), "response_format": _FORMAT})
EMBEDDINGS = Fields(
    {
        **plain("input encoding_format dimensions user input_type truncate truncate_prompt_tokens priority task"),
        "model": SAMPLING["model"],
    }
)
LIST = Fields({})  # a request for a list has no body
