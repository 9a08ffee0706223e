"""Lists the fields of the tools that an agent brings along. Tools of the provider are named, and the operator decides.

Sources: OpenAI's references of chat completions and responses (function, custom, local shell, apply_patch, namespace), Anthropic's
reference of messages (input_schema, bash, text editor, memory), Gemini's (functionDeclarations).
"""

from collections.abc import Mapping
from typing import Any

from agenthost.core.models.fields.nodes import ANY, Fields, Found, Node, anything, plain
from agenthost.core.models.provider_tools import UNKNOWN, named_tools

_FUNCTION = Fields(
    plain("name description strict behavior")
    | anything(
        "parameters parametersJsonSchema parameters_json_schema response responseJsonSchema response_json_schema"
    )
)


class Tools:
    """The place of a request's tools."""

    def judge(self, value: Any, path: str, found: Found) -> None:
        """Adds the provider's tools by their names, and fields of the agent's own that are not listed."""
        for tool in value if isinstance(value, list) else [value]:
            if isinstance(tool, Mapping):
                names = named_tools(tool)
                found.tools.update(names)
                if not names:
                    _OWN.judge(tool, path, found)
            elif tool is not None:
                found.tools.add(UNKNOWN)


TOOLS = Tools()
CACHE = Fields(plain("type ttl"))
_ENVIRONMENT = Fields({**plain("type"), "skills": Fields(plain("name description path"))})
_OWN_FIELDS: dict[str, Node] = {
    **plain("type name description strict execution"),
    **plain("defer_loading eager_input_streaming allowed_callers max_characters"),
    **anything("parameters input_schema input_examples output_schema format"),
    "function": _FUNCTION,
    "custom": Fields({**plain("name description"), "format": ANY}),
    "cache_control": CACHE,
    "environment": _ENVIRONMENT,
    "tools": TOOLS,
    "functionDeclarations": _FUNCTION,
    "function_declarations": _FUNCTION,
}
_OWN = Fields(_OWN_FIELDS)

_CHOSEN = Fields({**plain("type name"), "function": Fields(plain("name")), "custom": Fields(plain("name"))})
CHOICE = Fields(
    {
        **plain("type name mode disable_parallel_tool_use"),
        "function": Fields(plain("name")),
        "custom": Fields(plain("name")),
        "tools": _CHOSEN,
        "allowed_tools": Fields({**plain("mode"), "tools": _CHOSEN}),
    }
)
