"""The hash by which GitHub recognises the line of an alert, `primaryLocationLineHash`, as GitHub's own action computes it.

A polynomial hash, modulo 2^64, of the hundred UTF-16 code units from the line's beginning on. Spaces and tabs do not count,
and each line end is one LF; behind the file's end stand one 0xFFFF and zeros. Lines with equal hashes are numbered.
"""

from array import array
from collections import Counter
from collections.abc import Collection

BLOCK = 100
FACTOR = 37
MODULUS = 1 << 64
END = 0xFFFF
# Of a larger file no hash is computed: GitHub then computes it.
MAX_HASHED_CHARACTERS = 1024 * 1024


def line_hashes(data: bytes, wanted: Collection[int]) -> dict[int, str]:
    """Returns the hashes of these lines, as `hash:number`; nothing for a file that is too large."""
    text = data.decode(errors="replace")
    if len(text) > MAX_HASHED_CHARACTERS or not wanted:
        return {}
    units, starts = _units(text, max(wanted))
    hashes: dict[int, str] = {}
    counts: Counter[int] = Counter()
    rolling = _rolling(units, starts)
    for number, start in enumerate(starts, start=1):
        value = rolling[start]
        counts[value] += 1
        if number in wanted:
            hashes[number] = f"{value:x}:{counts[value]}"
    return hashes


def _units(text: str, last: int) -> tuple["array[int]", list[int]]:
    """Returns the code units that count, with the padding of the end, and where each line up to `last` begins among them."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace(" ", "").replace("\t", "")
    lines = plain.split("\n", last)
    starts = [0]
    for line in lines[: last - 1] if len(lines) >= last else lines[:-1]:
        starts.append(starts[-1] + len(line) + 1 + sum(character > "\uffff" for character in line))
    units = array("H")
    units.frombytes(plain.encode("utf-16-le", "surrogatepass"))
    units.append(END)
    units.extend([0] * BLOCK)
    return units, starts


def _rolling(units: "array[int]", starts: list[int]) -> dict[int, int]:
    """Returns the hash of the block that begins at each start."""
    first = pow(FACTOR, BLOCK, MODULUS)
    wanted, value = frozenset(starts), 0
    for unit in units[:BLOCK]:
        value = (value * FACTOR + unit) % MODULUS
    hashes = {0: value}
    for place in range(1, starts[-1] + 1):
        value = (value * FACTOR + units[place + BLOCK - 1] - units[place - 1] * first) % MODULUS
        if place in wanted:
            hashes[place] = value
    return hashes
