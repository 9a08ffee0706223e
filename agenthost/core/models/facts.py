"""Reads what a model's server tells of itself: its models, the context of one request, and how many requests it takes at once.

Servers differ in where they tell the context of a model that is loaded:

    llama.cpp   /props           n_ctx for each of total_slots
    Ollama      /api/ps          context_length of each loaded model; it cuts what is longer without a word
    LM Studio   /api/v0/models   loaded_context_length
    vLLM, …     /v1/models       max_model_len and its like

Pure: paths and answers, no requests. An answer is never trusted to have any form.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from agenthost.agents.chat_models import first_chat_model
from agenthost.core.models.endpoint import LOOPBACK, Api, Endpoint
from agenthost.core.output.utf8 import plain

MAX_LISTED = 200
MAX_NAME_CHARACTERS = 200
MAX_WINDOW = 99_999_999
MAX_SLOTS = 1_000
OLLAMA_WINDOW = 4_096  # of a model that is not loaded yet, unless its operator set another
LLAMA_CPP, OLLAMA, LM_STUDIO = "llama.cpp", "Ollama", "LM Studio"

LISTING: Mapping[Api, str] = {Api.OPENAI: "/v1/models", Api.ANTHROPIC: "/v1/models", Api.GEMINI: "/v1beta/models"}
OWN_PATHS: Mapping[str, str] = {LLAMA_CPP: "/props", OLLAMA: "/api/ps", LM_STUDIO: "/api/v0/models"}
_WINDOWS = (
    "loaded_context_length", "max_model_len", "context_length", "context_window", "max_input_tokens", "inputTokenLimit",
    "n_ctx",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model that an endpoint lists. `window` is its context in tokens, 0 where that is not known."""

    name: str
    window: int = 0


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The facts of one endpoint; 0 or empty where they are not known. `window` is that of one slot, whatever the model."""

    slots: int = 0
    window: int = 0
    models: tuple[ListedModel, ...] = ()
    server: str = ""
    problem: str = ""  # why it does not answer
    is_asked: bool = False

    @property
    def usual(self) -> str:
        """Returns the name of the first model that can chat; empty where none is listed."""
        return first_chat_model(each.name for each in self.models)

    def window_of(self, name: str) -> int:
        """Returns the context of a model, of the usual one where the name is empty; 0 where it is not known."""
        model = next((each for each in self.models if each.name == (name or self.usual)), None)
        return (model.window if model else 0) or self.window


def is_private(endpoint: Endpoint) -> bool:
    """Returns whether an endpoint is on this machine or in a private network, as far as its address tells."""
    try:
        return ip_address(endpoint.host).is_private
    except ValueError:
        return endpoint.host in LOOPBACK or endpoint.host.endswith((".local", ".lan", ".internal"))


def paths_to_ask(endpoint: Endpoint, known: ModelFacts) -> tuple[str, ...]:
    """Returns the paths that tell the facts: of a known server its own, of an unknown one in a private network every server's."""
    listing = LISTING[endpoint.api]
    if endpoint.api is not Api.OPENAI or not is_private(endpoint):
        return (listing,)
    own = (OWN_PATHS[known.server],) if known.server else tuple(OWN_PATHS.values())
    return (listing, *own)


def read_facts(endpoint: Endpoint, answers: Mapping[str, Any]) -> ModelFacts:
    """Returns the facts in the answers, each a JSON value by its path, with what the operator configured."""
    facts = ModelFacts(models=_listed(answers.get(LISTING[endpoint.api])), is_asked=True)
    for server, read in ((LLAMA_CPP, _llama_cpp), (OLLAMA, _ollama), (LM_STUDIO, _lm_studio)):
        if found := read(facts, answers.get(OWN_PATHS[server])):
            facts = replace(found, server=server)
            break
    facts = configured(endpoint, facts)
    return _with_window(facts, OLLAMA_WINDOW) if facts.server == OLLAMA else facts


def unanswered(endpoint: Endpoint, known: ModelFacts, problem: str) -> ModelFacts:
    """Returns the facts of an endpoint that does not answer: what was known of it stays true until it answers again."""
    return configured(endpoint, replace(known, problem=problem, is_asked=True))


def configured(endpoint: Endpoint, facts: ModelFacts) -> ModelFacts:
    """Returns the facts within the operator's configuration: its slots count first, and the smaller of two contexts."""
    if most := endpoint.context:
        models = tuple(replace(each, window=min(each.window or most, most)) for each in facts.models)
        facts = replace(facts, window=min(facts.window or most, most), models=models)
    return replace(facts, slots=endpoint.slots or facts.slots)


def _listed(answer: Any) -> tuple[ListedModel, ...]:
    entries = _list(_table(answer).get("data")) or _list(_table(answer).get("models"))
    found = []
    for entry in entries[:MAX_LISTED]:
        name = _table(entry).get("id") or _table(entry).get("name")
        if isinstance(name, str) and name:
            found.append(ListedModel(plain(name.removeprefix("models/")[:MAX_NAME_CHARACTERS]), _window(entry)))
    return tuple(found)


def _llama_cpp(facts: ModelFacts, answer: Any) -> ModelFacts | None:
    props = _table(answer)
    settings = _table(props.get("default_generation_settings"))
    if not settings and "total_slots" not in props:
        return None
    slots, window = _count(props.get("total_slots"), MAX_SLOTS), _count(settings.get("n_ctx"), MAX_WINDOW)
    # Its listing names the context that a model was trained with: what it was started with counts.
    models = tuple(replace(each, window=window) for each in facts.models)
    return replace(facts, slots=slots, window=window, models=models)


def _ollama(facts: ModelFacts, answer: Any) -> ModelFacts | None:
    if not isinstance(_table(answer).get("models"), list):
        return None
    running = {
        str(one.get("name")): _count(one.get("context_length"), MAX_WINDOW)
        for one in map(_table, _list(_table(answer)["models"]))
    }
    return replace(facts, models=tuple(replace(each, window=running.get(each.name, 0)) for each in facts.models))


def _lm_studio(facts: ModelFacts, answer: Any) -> ModelFacts | None:
    entries = [_table(entry) for entry in _list(_table(answer).get("data"))]
    if not any("loaded_context_length" in entry or "max_context_length" in entry for entry in entries):
        return None
    loaded = {str(entry.get("id")): _count(entry.get("loaded_context_length"), MAX_WINDOW) for entry in entries}
    return replace(facts, models=tuple(replace(each, window=loaded.get(each.name, 0)) for each in facts.models))


def _with_window(facts: ModelFacts, window: int) -> ModelFacts:
    """Returns the facts with a context for each model whose own is not known."""
    return replace(facts, models=tuple(replace(each, window=each.window or window) for each in facts.models))


def _window(entry: Any) -> int:
    """Returns the context that an entry of a listing tells, in one of the usual fields."""
    told = _table(entry)
    return next((size for name in _WINDOWS if (size := _count(told.get(name), MAX_WINDOW))), 0)


def _count(value: Any, most: int) -> int:
    return min(value, most) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
