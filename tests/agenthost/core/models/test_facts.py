"""Reads the facts of endpoints as their servers really tell them."""

from typing import Any

import pytest

from agenthost.core.models.endpoint import Endpoint, EndpointError, parse_endpoint
from agenthost.core.models.facts import (
    LLAMA_CPP,
    LM_STUDIO,
    OLLAMA,
    OLLAMA_WINDOW,
    ListedModel,
    ModelFacts,
    is_private,
    paths_to_ask,
    read_facts,
    unanswered,
)

LISTING = {"object": "list", "data": [{"id": "small", "meta": {"n_ctx_train": 131_072}}]}
PROPS = {"default_generation_settings": {"n_ctx": 2048, "params": {}}, "total_slots": 4, "model_path": "/x.gguf"}
LOADED = {"models": [{"name": "qwen3:8b", "model": "qwen3:8b", "context_length": 16_384}]}


def endpoint(**table: Any) -> Endpoint:
    return parse_endpoint("default", {"url": "http://127.0.0.1:8080", **table})


def test_llama_cpp_tells_the_context_of_one_slot_and_the_number_of_slots() -> None:
    """Keeps D1: what the model was trained with is not what it was started with."""
    facts = read_facts(endpoint(), {"/v1/models": LISTING, "/props": PROPS, "/api/ps": None})

    assert (facts.server, facts.slots, facts.window_of(""), facts.window_of("small")) == (LLAMA_CPP, 4, 2048, 2048)
    assert facts.is_asked


def test_ollama_tells_the_context_of_what_is_loaded_and_the_rest_gets_its_default() -> None:
    listing = {"data": [{"id": "qwen3:8b"}, {"id": "gemma3"}]}
    facts = read_facts(endpoint(), {"/v1/models": listing, "/api/ps": LOADED})

    assert facts.server == OLLAMA
    assert (facts.window_of("qwen3:8b"), facts.window_of("gemma3"), facts.slots) == (16_384, OLLAMA_WINDOW, 0)


def test_lm_studio_tells_the_context_that_a_model_was_loaded_with() -> None:
    own = {"data": [{"id": "small", "max_context_length": 32_768, "loaded_context_length": 4096, "state": "loaded"}]}
    facts = read_facts(endpoint(), {"/v1/models": LISTING, "/api/v0/models": own})

    assert (facts.server, facts.window_of("small")) == (LM_STUDIO, 4096)


@pytest.mark.parametrize("field", ["max_model_len", "context_length", "context_window"])
def test_other_servers_tell_the_context_in_their_listing(field: str) -> None:
    facts = read_facts(endpoint(), {"/v1/models": {"data": [{"id": "a", field: 8192}, {"id": "b"}]}})

    assert facts.models == (ListedModel("a", 8192), ListedModel("b"))
    assert (facts.window_of(""), facts.window_of("b"), facts.server) == (8192, 0, "")


def test_gemini_and_anthropic_are_asked_for_their_listing_alone() -> None:
    gemini = endpoint(api="gemini")
    listing = {"models": [{"name": "models/gemini-2.5-flash", "inputTokenLimit": 1_048_576}]}

    assert paths_to_ask(gemini, ModelFacts()) == ("/v1beta/models",)
    assert read_facts(gemini, {"/v1beta/models": listing}).window_of("gemini-2.5-flash") == 1_048_576
    assert paths_to_ask(endpoint(api="anthropic"), ModelFacts()) == ("/v1/models",)


def test_a_server_that_is_known_is_asked_for_its_own_path_only_and_a_hosted_one_for_none() -> None:
    hosted = parse_endpoint("default", {"url": "https://models.example.com/v1"})

    assert paths_to_ask(endpoint(), ModelFacts()) == ("/v1/models", "/props", "/api/ps", "/api/v0/models")
    assert paths_to_ask(endpoint(), ModelFacts(server=OLLAMA)) == ("/v1/models", "/api/ps")
    assert paths_to_ask(hosted, ModelFacts()) == ("/v1/models",)


@pytest.mark.parametrize(
    ("host", "private"),
    [("127.0.0.1", True), ("192.168.1.7", True), ("gpu.lan", True), ("8.8.8.8", False), ("api.example.com", False)],
)
def test_an_address_tells_whether_an_endpoint_is_private(host: str, private: object) -> None:
    assert is_private(parse_endpoint("x", {"url": f"http://{host}:1"})) is private


def test_the_operators_slots_count_first_and_of_two_contexts_the_smaller_one() -> None:
    answers = {"/v1/models": LISTING, "/props": PROPS}

    assert read_facts(endpoint(slots=2, context=1024), answers).window_of("small") == 1024
    assert read_facts(endpoint(slots=2, context=99_999), answers).window_of("small") == 2048
    assert read_facts(endpoint(slots=2), answers).slots == 2
    assert read_facts(endpoint(context=9000), {"/v1/models": {"data": [{"id": "a"}]}}).window_of("a") == 9000


def test_the_operators_context_counts_before_ollamas_default() -> None:
    listing = {"data": [{"id": "qwen3:8b"}]}
    facts = read_facts(endpoint(context=32_768), {"/v1/models": listing, "/api/ps": {"models": []}})

    assert facts.window_of("qwen3:8b") == 32_768


def test_what_was_known_of_an_endpoint_stays_while_it_does_not_answer() -> None:
    known = read_facts(endpoint(), {"/v1/models": LISTING, "/props": PROPS})
    gone = unanswered(endpoint(), known, "it cannot be reached")

    assert (gone.problem, gone.slots, gone.window_of("small")) == ("it cannot be reached", 4, 2048)
    assert unanswered(endpoint(context=512), ModelFacts(), "x").window_of("any") == 512


@pytest.mark.parametrize(
    "unfit",
    [
        "embed-small", "nomic-embed-text:latest", "text-embedding-3-small", "embeddinggemma", "BAAI/bge-m3", "all-minilm",
        "Qwen/Qwen3-Reranker-4B", "openai/whisper-1", "gpt-4o-mini-tts", "tts-1", "gpt-4o-transcribe", "dall-e-3",
        "omni-moderation-latest", "stable-diffusion-xl",
    ],
)  # fmt: skip
def test_the_usual_model_is_the_first_that_can_chat_as_far_as_its_name_tells(unfit: str) -> None:
    facts = read_facts(endpoint(), {"/v1/models": {"data": [{"id": unfit, "max_model_len": 512}, {"id": "chat-big"}]}})
    alone = read_facts(endpoint(), {"/v1/models": {"data": [{"id": unfit}]}})

    assert (facts.usual, facts.window_of("")) == ("chat-big", 0)
    assert alone.usual == ""


@pytest.mark.parametrize("name", ["gpt-butts", "/srv/tts/qwen3.gguf", "hf.co/rerank-lab/llama3:8b", "gemma3"])
def test_a_word_within_another_or_before_the_name_keeps_no_model_from_being_asked(name: str) -> None:
    assert read_facts(endpoint(), {"/v1/models": {"data": [{"id": name}]}}).usual == name


@pytest.mark.parametrize(
    "answer",
    [None, [], "x", {"data": 5}, {"data": [None, {"id": 5}, {"id": ""}]}, {"models": [[]]}, {"total_slots": True}],
)
def test_an_answer_of_another_form_tells_nothing(answer: Any) -> None:
    facts = read_facts(endpoint(), dict.fromkeys(("/v1/models", "/props", "/api/ps", "/api/v0/models"), answer))

    assert (facts.models, facts.slots, facts.window_of("")) == ((), 0, 0)


def test_names_cannot_act_on_a_terminal_and_are_bounded() -> None:
    facts = read_facts(endpoint(), {"/v1/models": {"data": [{"id": "a\ud800\x1b[2J\nb"}] + [{"id": "n" * 999}] * 999}})

    assert facts.models[0].name == "a??[2J?b"
    assert (len(facts.models), len(facts.models[1].name)) == (200, 200)


@pytest.mark.parametrize("table", [{"slots": 0}, {"slots": True}, {"context": -1}, {"context": "8k"}])
def test_a_wrong_number_names_its_setting(table: dict[str, Any]) -> None:
    with pytest.raises(
        EndpointError, match=f"models.default.{next(iter(table))} is .*: it must be a whole number from 1"
    ):
        endpoint(**table)
