"""Says tokens. Its order stands in its prompt, or in the file named as its argument when it runs without a sandbox:

`#chatter burst START TOKENS`: five bytes each, 64 in a write, as fast as they are taken, from the instant START on.
`#chatter pace START TOKENS INTERVAL`: each with the time of its own write in it, every INTERVAL seconds.

Before START it says one token, so that all can be seen to be there (`here `, or one with its time). Standard library only;
every time is the wall clock's.
"""

import sys
import time

READY = b"here "
AT_ONCE = 64


def burst(start: float, tokens: int) -> None:
    block = b"".join(b"%04d " % number for number in range(AT_ONCE))
    write = sys.stdout.buffer.raw.write
    write_all(write, READY)
    time.sleep(max(0.0, start - time.time()))
    for left in range(tokens, 0, -AT_ONCE):
        write_all(write, block[: 5 * min(left, AT_ONCE)])


def pace(start: float, tokens: int, interval: float) -> None:
    write = sys.stdout.buffer.raw.write
    write_all(write, b"%019d " % time.time_ns())
    for number in range(tokens):
        time.sleep(max(0.0, start + number * interval - time.time()))
        write_all(write, b"%019d " % time.time_ns())


def write_all(write, data: bytes) -> None:
    while data:
        data = data[write(data) :]


def main(file: str) -> None:
    with open(file) as prompt:
        order = next(line.split()[1:] for line in prompt if line.startswith("#chatter "))
    if order[0] == "burst":
        burst(float(order[1]), int(order[2]))
    else:
        pace(float(order[1]), int(order[2]), float(order[3]))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "/run/prompt")
