"""What simulated agents say: the same for every attempt of a step, since an agent that is asked the same says the same.

An agent that takes turns says it in lines of JSON, and any other as plain text; in the end the answer is the same.
"""

import json
from dataclasses import dataclass
from random import Random

from agenthost.core.output.spool import RecordKind

LONG_SECONDS = 130.0  # longer than a host may be silent
CHANNELS = {RecordKind.STDOUT: "answer", RecordKind.STDERR: "log"}
TURN = b'{"type": "turn"}\n'
_WORDS = ("one ", "zwölf ", "€ ", "and then ", "…\n", "x" * 30)


@dataclass(frozen=True, slots=True)
class Script:
    """What an agent says, with the pause before each piece, and the code that it leaves with."""

    pieces: tuple[tuple[float, RecordKind, bytes], ...]
    exit_code: int


def write_script(seed: int, attempt: str, *, is_repair: bool = False, in_lines: bool = False) -> Script:
    """Returns what the agent of an attempt says to its prompt, or to the request to repair its answer."""
    rng = Random(f"script {seed} {attempt.rpartition('-')[0]}{' repair' if is_repair else ''}")
    pace = rng.choice((0.01, 0.1, 0.1, 1.0))
    silence = LONG_SECONDS if rng.random() < 0.3 else 0.0
    pieces = []
    for place in range(rng.choice((0, 2, 4, 8, 12, 20))):
        data = f"{place}:{rng.choice(_WORDS)}".encode()
        cut = rng.randint(0, len(data)) if rng.random() < 0.3 else 0  # anywhere, also within a character
        pauses = rng.random() * pace, rng.random() * pace
        kind = RecordKind.STDOUT if rng.random() < 0.7 else RecordKind.STDERR
        if silence and place == 1:
            pieces.append((silence, kind, b"still there\n"))
        parts = (b"", data) if in_lines else (data[:cut], data[cut:])
        pieces += [(pause, kind, part) for pause, part in zip(pauses, parts, strict=True) if part]
    if rng.random() < 0.15:
        pieces.append(
            (0.0, RecordKind.STDOUT, "\ufffd".encode() if in_lines else "€".encode()[:2])
        )  # torn in mid-character
    return Script(tuple(pieces), 3 if rng.random() < 0.03 else 0)


def read_prompt(text: str) -> str:
    """Returns a prompt that came as text, or as a line of JSON."""
    return str(json.loads(text)["text"]) if text.startswith("{") else text


def write_line(text: bytes) -> bytes:
    """Returns a piece of an answer as an agent says it that takes turns."""
    return json.dumps({"type": "answer", "text": text.decode()}, ensure_ascii=False).encode() + b"\n"
