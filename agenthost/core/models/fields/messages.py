"""Lists the fields of Anthropic's messages. Sources: its reference, and what claude 2.1 was seen to send."""

from typing import Any

from agenthost.core.models.fields.nodes import INLINE, PLAIN, Called, Each, Fields, Kinds, Provided, anything, plain
from agenthost.core.models.fields.tools import CACHE, CHOICE, TOOLS
from agenthost.core.models.provider_tools import named_models, named_tools


def _server_use(value: Any) -> frozenset[str]:
    return named_tools({"type": value.get("name")}) or frozenset({"server_tool_use"})


_BLOCKS = Kinds({}, usual="text")  # filled below: a tool's result holds blocks
_SOURCE = Kinds(
    {
        "base64": Fields({**plain("type media_type"), "data": INLINE}),
        "text": Fields(plain("type media_type data")),
        "content": Fields({**plain("type"), "content": _BLOCKS}),
        "url": Provided("url_sources"),
    },
    usual="base64",
    scalar=INLINE,
)
_BLOCK = {**plain("type"), "cache_control": CACHE}
_BLOCKS.known.update(
    {
        "text": Fields({**_BLOCK, **plain("text"), **anything("citations")}),
        "image": Fields({**_BLOCK, "source": _SOURCE}),
        "document": Fields(
            {**_BLOCK, **plain("title context"), "source": _SOURCE, "citations": Fields(plain("enabled"))}
        ),
        "search_result": Fields(
            {**_BLOCK, **plain("source title"), "content": _BLOCKS, "citations": Fields(plain("enabled"))}
        ),
        "thinking": Fields({**_BLOCK, **plain("thinking signature")}),
        "redacted_thinking": Fields({**_BLOCK, **plain("data")}),
        "tool_use": Fields({**_BLOCK, **plain("id name"), **anything("input"), "caller": Fields(plain("type"))}),
        "tool_result": Fields({**_BLOCK, **plain("tool_use_id is_error"), "content": _BLOCKS}),
        "tool_reference": Fields({**_BLOCK, **plain("tool_name")}),
        "compaction": Fields({**_BLOCK, **plain("content encrypted_content signature")}),
        # What tools of the provider said before: they were allowed then, or it is made up.
        "server_tool_use": Called(_server_use),
        "web_search_tool_result": Provided("web_search"),
        "web_fetch_tool_result": Provided("web_fetch"),
        "code_execution_tool_result": Provided("code_execution"),
        "bash_code_execution_tool_result": Provided("code_execution"),
        "text_editor_code_execution_tool_result": Provided("code_execution"),
        "tool_search_tool_result": Provided("tool_search"),
        "mcp_tool_use": Provided("mcp"),
        "mcp_tool_result": Provided("mcp"),
        "container_upload": Provided("code_execution"),
    }
)
_AMOUNT = Fields(plain("type value"))
_EDIT = Fields(
    {
        **plain("type exclude_tools clear_tool_inputs instructions pause_after_compaction"),
        "trigger": _AMOUNT,
        "keep": _AMOUNT,
        "clear_at_least": _AMOUNT,
    }
)
_FORMAT = Fields({**plain("type name"), **anything("schema")})

MESSAGES = Fields(
    {
        **plain("max_tokens stop_sequences stream temperature top_k top_p service_tier betas speed inference_geo"),
        **plain("anthropic_version anthropic_beta"),
        "model": Called(named_models, PLAIN),
        "messages": Fields({**plain("role"), "content": _BLOCKS}),
        "system": _BLOCKS,
        "metadata": Each(PLAIN),
        "thinking": Fields(plain("type budget_tokens display")),
        "tools": TOOLS,
        "tool_choice": CHOICE,
        "cache_control": CACHE,
        "context_management": Fields({"edits": _EDIT}),
        "output_config": Fields(
            {**plain("effort"), "format": _FORMAT, "task_budget": Fields(plain("type total remaining"))}
        ),
        "output_format": _FORMAT,
        "safeguards": Fields({**plain("type"), **anything("classifier_context")}),
        "container": Provided("code_execution"),
        "mcp_servers": Provided("mcp"),
    }
)
