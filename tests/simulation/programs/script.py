"""What simulated agents say: the same for every attempt of a step, since an agent that is asked the same says the same."""

from dataclasses import dataclass
from random import Random

from agenthost.core.output.spool import RecordKind

LONG_SECONDS = 130.0  # longer than a host may be silent
CHANNELS = {RecordKind.STDOUT: "answer", RecordKind.STDERR: "log"}
_WORDS = ("one ", "zwölf ", "€ ", "and then ", "…\n", "x" * 30)


@dataclass(frozen=True, slots=True)
class Script:
    """What an agent says, with the pause before each piece, and the code that it leaves with."""

    pieces: tuple[tuple[float, RecordKind, bytes], ...]
    exit_code: int


def write_script(seed: int, attempt: str) -> Script:
    rng = Random(f"script {seed} {attempt.rpartition('-')[0]}")
    pace = rng.choice((0.01, 0.1, 0.1, 1.0))
    silence = LONG_SECONDS if rng.random() < 0.3 else 0.0
    pieces = []
    for place in range(rng.choice((0, 2, 4, 8, 12, 20))):
        data = f"{place}:{rng.choice(_WORDS)}".encode()
        cut = rng.randint(0, len(data)) if rng.random() < 0.3 else 0  # anywhere, also within a character
        kind = RecordKind.STDOUT if rng.random() < 0.7 else RecordKind.STDERR
        if silence and place == 1:
            pieces.append((silence, kind, b"still there\n"))
        pieces += [(rng.random() * pace, kind, part) for part in (data[:cut], data[cut:]) if part]
    if rng.random() < 0.15:
        pieces.append((0.0, RecordKind.STDOUT, "€".encode()[:2]))  # ends in mid-character
    return Script(tuple(pieces), 3 if rng.random() < 0.03 else 0)
