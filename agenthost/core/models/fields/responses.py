"""Lists the fields of OpenAI's responses. Sources: its reference, and what codex 0.171 was seen to send or holds in its history.

What the provider stored before (`previous_response_id`, `item_reference`, `conversation`) may have been asked for with any tool: it
is named as `stored_response`.
"""

from agenthost.core.models.fields.nodes import DATA, INLINE, PLAIN, Each, Fields, Kinds, Provided, anything, plain
from agenthost.core.models.fields.sampling import SAMPLING
from agenthost.core.models.fields.tools import CHOICE, TOOLS

_PARTS = Kinds(
    {
        "input_text": Fields(plain("type text")),
        "text": Fields(plain("type text")),
        "output_text": Fields({**plain("type text"), **anything("annotations logprobs")}),
        "summary_text": Fields(plain("type text")),
        "reasoning_text": Fields(plain("type text")),
        "refusal": Fields(plain("type refusal")),
        "encrypted_content": Fields(plain("type encrypted_content")),
        "input_image": Fields({**plain("type detail"), "image_url": DATA}),
        "input_file": Fields(
            {**plain("type filename detail"), "file_data": INLINE, "file_url": Provided("url_sources")}
        ),
        "input_audio": Fields(
            {**plain("type"), "input_audio": Fields({"data": INLINE, "format": PLAIN}, scalar=INLINE)}
        ),
    },
    usual="input_text",
)
_CALL = plain("type id call_id name status namespace")
_ANSWER = {**plain("type id call_id name status max_output_length success"), "output": _PARTS}
_ITEMS = Kinds(
    {
        "message": Fields({**plain("type id role status phase end_turn"), "content": _PARTS}),
        "function_call": Fields({**_CALL, **anything("arguments")}),
        "function_call_output": Fields(_ANSWER),
        "custom_tool_call": Fields({**_CALL, **plain("input")}),
        "custom_tool_call_output": Fields(_ANSWER),
        "local_shell_call": Fields({**_CALL, **anything("action")}),
        "local_shell_call_output": Fields(_ANSWER),
        "shell_call": Fields({**_CALL, **anything("action"), **plain("max_output_length")}),
        "shell_call_output": Fields({**_ANSWER, **anything("output")}),
        "apply_patch_call": Fields({**_CALL, **anything("operation")}),
        "apply_patch_call_output": Fields(_ANSWER),
        "tool_search_call": Fields({**_CALL, **plain("execution"), **anything("arguments")}),
        "tool_search_output": Fields({**_CALL, **plain("execution"), "tools": TOOLS}),
        "reasoning": Fields({**plain("type id status encrypted_content"), "summary": _PARTS, "content": _PARTS}),
        "compaction": Fields(plain("type id encrypted_content created_by")),
        "compaction_summary": Fields(plain("type id encrypted_content")),
        "compaction_trigger": Fields(plain("type")),
        "item_reference": Provided("stored_response"),
        # What tools of the provider said before: they were allowed then, or it is made up.
        "web_search_call": Provided("web_search"),
        "file_search_call": Provided("file_search"),
        "code_interpreter_call": Provided("code_interpreter"),
        "image_generation_call": Provided("image_generation"),
        "computer_call": Provided("computer_use"),
        "computer_call_output": Provided("computer_use"),
        "mcp_call": Provided("mcp"),
        "mcp_list_tools": Provided("mcp"),
        "mcp_approval_request": Provided("mcp"),
        "mcp_approval_response": Provided("mcp"),
    },
    usual="message",
)

RESPONSES = Fields(
    {
        **SAMPLING,
        **plain("include instructions max_tool_calls truncation include_obfuscation enable_response_messages"),
        "input": _ITEMS,
        "tools": TOOLS,
        "tool_choice": CHOICE,
        "text": Fields(
            {
                **plain("verbosity"),
                "format": Fields({**plain("type name description strict"), **anything("schema")}),
            }
        ),
        "context_management": Fields(plain("type compact_threshold")),
        "client_metadata": Each(PLAIN),
        "prompt": Provided("stored_prompt"),
        "previous_response_id": Provided("stored_response"),
        "conversation": Provided("stored_response"),
        "background": Provided("stored_response"),
    }
)
