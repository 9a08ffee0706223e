"""Lists the fields that OpenAI-compatible endpoints share over their paths: sampling, limits, reasoning, routing.

Sources: OpenAI's reference; the extra parameters of vLLM and SGLang; llama.cpp's server; Ollama's options; the references of
OpenRouter, Mistral, Groq, xAI, DeepSeek, Moonshot, Z.ai, MiniMax and Qwen. Left out is what names code, adapters, templates or
documents of the server.
"""

from agenthost.core.models.fields.nodes import PLAIN, Called, Each, Fields, Node, Provided, anything, plain
from agenthost.core.models.provider_tools import named_models

REASONING = Fields(plain("effort summary generate_summary max_tokens exclude enabled context mode"))
STREAM_OPTIONS = Fields(
    plain("include_usage include_obfuscation continuous_usage_stats chunk_include_usage reasoning_summary_delivery")
)
_ROUTING = Fields(
    {
        **plain("order allow_fallbacks only ignore sort quantizations data_collection require_parameters zdr"),
        **plain("enforce_distillable_text preferred_min_throughput preferred_max_latency"),
        "max_price": Fields(plain("prompt completion request image audio")),
    }
)
_PROVIDED = {
    "mcp_servers": "mcp", "web_search_options": "web_search", "search_parameters": "web_search", "enable_search": "web_search",
    "search_options": "web_search", "plugins": "plugins", "container": "code_execution", "data_sources": "data_sources",
    "cached_content": "cached_content", "preset": "stored_prompt", "connectors": "connectors", "compound_custom": "compound",
    "enable_code_interpreter": "code_interpreter",
}  # fmt: skip

SAMPLING: dict[str, Node] = {
    "model": Called(named_models, PLAIN),
    "models": Called(named_models, PLAIN),
    # OpenAI
    **plain(
        "temperature top_p n stop seed presence_penalty frequency_penalty logprobs top_logprobs max_tokens user stream"
    ),
    **plain("max_completion_tokens max_output_tokens parallel_tool_calls service_tier store safety_identifier"),
    **plain("prompt_cache_key prompt_cache_retention reasoning_effort verbosity best_of echo suffix"),
    **anything("logit_bias metadata"),
    "stream_options": STREAM_OPTIONS,
    "reasoning": REASONING,
    # vLLM, SGLang, llama.cpp
    **plain(
        "top_k min_p top_a typical_p tfs_z repetition_penalty repeat_penalty repeat_last_n length_penalty min_tokens"
    ),
    **plain("early_stopping use_beam_search stop_token_ids stop_regex include_stop_str_in_output ignore_eos bad_words"),
    **plain(
        "skip_special_tokens spaces_between_special_tokens truncate_prompt_tokens prompt_logprobs allowed_token_ids"
    ),
    **plain(
        "add_generation_prompt continue_final_message add_special_tokens priority request_id cache_salt no_stop_trim"
    ),
    **plain(
        "return_tokens_as_token_ids return_token_ids return_tokens timings_per_token return_progress cache_prompt id_slot"
    ),
    **plain(
        "n_predict n_keep n_discard n_probs min_keep samplers mirostat mirostat_tau mirostat_eta penalize_nl grammar"
    ),
    **plain("dynatemp_range dynatemp_exponent dry_multiplier dry_base dry_allowed_length dry_penalty_last_n"),
    **plain(
        "dry_sequence_breakers xtc_probability xtc_threshold t_max_predict_ms post_sampling_probs parse_tool_calls"
    ),
    **plain("guided_regex guided_choice guided_grammar guided_whitespace_pattern guided_decoding_backend regex ebnf"),
    **anything("chat_template_kwargs guided_json json_schema structured_outputs"),
    # Ollama
    **plain("keep_alive think raw"),
    **anything("format"),
    "options": Each(PLAIN),
    # Reasoning of other providers
    **plain("enable_thinking thinking_budget preserve_thinking include_reasoning reasoning_format reasoning_split"),
    **plain("separate_reasoning thinking_forced_open"),
    "thinking": Fields(plain("type budget_tokens display effort clear_thinking keep")),
    # Routing of OpenRouter, and what Mistral, Qwen and Groq add
    **plain("transforms route session_id safe_prompt random_seed prompt_mode vl_high_resolution_images"),
    **plain("disable_tool_validation"),
    "usage": Fields(plain("include")),
    "provider": _ROUTING,
    **{name: Provided(tool) for name, tool in _PROVIDED.items()},
}
