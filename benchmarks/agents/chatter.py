"""Says tokens by an order in its prompt, or in the file named as its argument when it runs without a sandbox:

`#chatter burst START TOKENS AT_ONCE`: five bytes each, AT_ONCE in a write, as fast as they are taken, from the instant START on.
`#chatter pace START TOKENS INTERVAL`: each with the time of its own write in it, every INTERVAL seconds.

Before START it says one token, to show that it is there (`here `, or one with its time). Standard library only;
every time is the wall clock's.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

READY = b"here "
BLOCK = 64


def burst(start: float, tokens: int, at_once: int) -> None:
    block = b"".join(b"%04d " % number for number in range(BLOCK))
    pieces = [block[place : place + 5 * at_once] for place in range(0, len(block), 5 * at_once)]
    write = sys.stdout.buffer.raw.write
    write_all(write, READY)
    time.sleep(max(0.0, start - time.time()))
    for number in range(tokens // at_once):
        write_all(write, pieces[number % len(pieces)])


def pace(start: float, tokens: int, interval: float) -> None:
    write = sys.stdout.buffer.raw.write
    write_all(write, b"%019d " % time.time_ns())
    for number in range(tokens):
        time.sleep(max(0.0, start + number * interval - time.time()))
        write_all(write, b"%019d " % time.time_ns())


def write_all(write: Callable[[bytes], int], data: bytes) -> None:
    while data:
        data = data[write(data) :]


def main(file: str) -> None:
    lines = Path(file).read_text().splitlines()
    order = next(line.split()[1:] for line in lines if line.startswith("#chatter "))
    if order[0] == "burst":
        burst(float(order[1]), int(order[2]), int(order[3]))
    else:
        pace(float(order[1]), int(order[2]), float(order[3]))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "/run/prompt")
