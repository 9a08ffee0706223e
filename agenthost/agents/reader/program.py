"""The program: reads the questions and its endpoint, runs the loop for each in one conversation, and says how it ended.

reader [MODEL [WINDOW [CALLS]]]

    MODEL   empty for the first that the endpoint lists and that can chat
    WINDOW  tokens, 0 for what the endpoint tells
    CALLS   `auto`, or `actions` for a small model whose every reply is to be held to a form
"""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..chat_models import first_chat_model
from ..prompts import PROMPT, prompts
from ..voice import Voice
from .calls import parsed
from .chat import Chat, ModelError
from .files import Files
from .loop import Loop
from .speech import Speech
from .tools import tools_over
from .window import DEFAULT_WINDOW, Window

MAX_WINDOW = 99_999_999  # the largest that a flow may give
SHOWN_FILES = 30
USAGE, MODEL_FAILED = 2, 1
AUTO, ACTIONS = "auto", "actions"


class Wishes(NamedTuple):
    """The flow's wishes: a model and its context, else what the endpoint tells; and whether replies are held to a form."""

    model: str
    window: int
    by_actions: bool


def main(arguments: Sequence[str], *, root: Path | None = None, prompt: Path = PROMPT) -> int:
    """Answers questions over the current folder; returns the exit code."""
    model, window, calls = (*arguments, *("", "0", AUTO)[len(arguments) :])[:3]
    if len(arguments) > 3 or not window.isdigit() or calls not in {AUTO, ACTIONS}:
        sys.stderr.write("usage: reader [MODEL [WINDOW [auto|actions]]]\n")
        return USAGE
    try:
        wishes = Wishes(model, int(window), calls == ACTIONS)
        return _answer(wishes, prompts(prompt), root or Path.cwd(), Voice(sys.stdout))
    except BrokenPipeError:
        # The reader of our output has left. The stream must not be flushed again when the interpreter ends.
        sys.stdout = None
        return MODEL_FAILED


def _answer(wishes: Wishes, questions: Iterator[str], root: Path, voice: Voice) -> int:
    base_url = os.environ.get("OPENAI_BASE_URL", "")
    if not base_url:
        sys.stderr.write("reader: OPENAI_BASE_URL is not set: name a model in the agent's spec\n")
        return USAGE
    speech = Speech(voice)
    chat = Chat(base_url, os.environ.get("OPENAI_API_KEY", ""), "", speech.feed, voice.reasoning)
    files = Files(root)
    try:
        chat.model, window = _model(chat, wishes.model, wishes.window)
        voice.log(f"asks {chat.model}, with a context of {window} tokens")
        loop = Loop(chat, tools_over(files), voice, speech, Window(window), by_actions=wishes.by_actions)
        for question in questions:
            text = loop.run(question)
            voice.log(_account(files))
            if isinstance(result := _findings(text), dict):
                voice.final(result)
            voice.turn()
    except ModelError as error:
        voice.log(str(error))
        return MODEL_FAILED
    return 0


def _model(chat: Chat, name: str, window: int) -> tuple[str, int]:
    """Returns the model's name and its window; asks the endpoint for what is not given."""
    if name and window:
        return name, window
    try:
        listed = chat.models()
    except ModelError as error:
        if name and error.status:
            return name, window or DEFAULT_WINDOW
        raise
    name = name or first_chat_model(str(one.get("id", "")) for one in listed)
    if not name:
        raise ModelError("the endpoint lists no model that can chat: give the step the parameter `model`")
    entry = next((one for one in listed if one.get("id") == name), {})
    return name, window or _window_of(entry)


def _window_of(entry: dict[str, Any]) -> int:
    """Returns the context that an entry of /v1/models tells: vLLM's and others' own fields."""
    meta = entry.get("meta")
    for holder in (entry, meta if isinstance(meta, dict) else {}):
        for key in ("max_model_len", "context_length", "context_window", "n_ctx"):
            if isinstance(size := holder.get(key), int) and size > 0:
                return min(size, MAX_WINDOW)
    return DEFAULT_WINDOW


def _findings(text: str) -> Any:
    """Returns the object with findings that ends the answer, where it does."""
    start = text.rfind('{"findings"')
    if start < 0:
        start = text.rfind("{", 0, text.rfind('"findings"')) if '"findings"' in text else -1
    if start < 0:
        return None
    value = parsed(text[start:].partition("```")[0])
    return value if isinstance(value, dict) and isinstance(value.get("findings"), list) else None


def _account(files: Files) -> str:
    """Returns a sentence about what was read."""
    if not files.read:
        return "no file was read"
    names = [
        f"{path} ({lines} {'line' if lines == 1 else 'lines'})"
        for path, lines in list(files.read.items())[:SHOWN_FILES]
    ]
    more = f" and {len(files.read) - SHOWN_FILES} more" if len(files.read) > SHOWN_FILES else ""
    return f"read {', '.join(names)}{more}"
