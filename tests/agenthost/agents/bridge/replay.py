"""A program that plays what a real agent said: after each request that it reads, as far as the next response; then it ends.

replay.py TRANSCRIPT
"""

import itertools
import json
import sys
from pathlib import Path


def is_response(line: str) -> bool:
    message = json.loads(line)
    return "id" in message and "method" not in message and message.get("type", "response") == "response"


def is_request(line: str) -> bool:
    message = json.loads(line)
    return "id" in message and ("method" in message or message.get("type") == "prompt")


lines = Path(sys.argv[1]).read_text("utf-8").splitlines()
responses = [at for at, line in enumerate(lines) if is_response(line)]
begins = [0, *responses[1:], len(lines)]
for begin, end in itertools.pairwise(begins):
    while (asked := sys.stdin.readline()) and not is_request(asked):
        pass
    sys.stdout.write("".join(f"{line}\n" for line in lines[begin:end]))
    sys.stdout.flush()
