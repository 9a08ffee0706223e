"""An agent of the Agent Client Protocol that says one word to each prompt: what a bridge adds to it is the bridge's."""

import json
import sys


def send(**message: object) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


ANSWERS = {
    "initialize": {"protocolVersion": 1},
    "session/new": {"sessionId": "s"},
    "session/prompt": {"stopReason": "end_turn"},
}
for line in sys.stdin:
    asked = json.loads(line)
    if asked["method"] == "session/prompt":
        update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "hello"}}
        send(method="session/update", params={"sessionId": "s", "update": update})
    send(id=asked["id"], result=ANSWERS[asked["method"]])
