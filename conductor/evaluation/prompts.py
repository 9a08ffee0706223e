"""What an agent is asked: its persona, the rendered prompt, and each contract once, in this order."""

from collections.abc import Mapping
from typing import Any

from conductor.evaluation.reports.results import DEFAULT_RESULT_CHARACTERS, Result, left_out, limited
from conductor.flows.language.templates import TemplateError, render
from conductor.flows.library.bundle import Bundle

MAX_PROMPT_BYTES = 1024 * 1024


class PromptError(Exception):
    """The prompt cannot be built. The text says why, and where in the template."""


def build_prompt(bundle: Bundle, step: str, inputs: Mapping[str, Any], results: Mapping[str, Result]) -> str:
    """The prompt, word for word. Raises PromptError."""
    agent = bundle.step(step).agent
    seen = limited(results, agent.max_result_characters or DEFAULT_RESULT_CHARACTERS)
    try:
        asked = render(agent.prompt, {"inputs": inputs, "band": inputs["band"], "steps": seen})
    except TemplateError as error:
        raise PromptError(f"the prompt of step {step} cannot be rendered: {error}") from error
    persona = bundle.texts.personas.get(agent.persona, "")
    contracts = [bundle.texts.contracts[name] for name in dict.fromkeys(agent.contracts)]
    parts = [persona, asked, *left_out(results, seen), *contracts]
    prompt = "\n\n".join(text for part in parts if (text := part.strip("\n"))) + "\n"
    size = len(prompt.encode(errors="replace"))
    if size > MAX_PROMPT_BYTES:
        raise PromptError(f"the prompt of step {step} has {size} bytes; the limit is {MAX_PROMPT_BYTES}")
    return prompt
