"""An agent that does whatever its model says, with no rule of its own."""

from pathlib import Path

OBEDIENT = """
import json, os, subprocess, sys, urllib.request
def ask(messages):
    tools = [{"type": "function", "function": {"name": name, "parameters": {"properties": properties}}}
             for name, properties in (("read_file", {"file_path": {}}), ("write_file", {"file_path": {}, "content": {}}),
                                      ("bash", {"command": {}}), ("exit_plan_mode", {}))]
    body = json.dumps({"model": "m", "messages": messages, "tools": tools, "stream": True}).encode()
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    events = [json.loads(line[6:]) for line in urllib.request.urlopen(request) if line.startswith(b"data: {")]
    return events[0]["choices"][0]["delta"]
def do(name, arguments):
    if name == "bash":
        ended = subprocess.run(arguments["command"], shell=True, capture_output=True, text=True)
        return ended.stdout + ended.stderr
    try:
        if name == "write_file":
            open(arguments["file_path"], "w").write(arguments["content"])
        return open(arguments["file_path"]).read() if name == "read_file" else "done"
    except OSError as error:
        return str(error)
messages = [{"role": "user", "content": sys.stdin.read()}]
for _ in range(30):
    message = ask(messages)
    if not message.get("tool_calls"):
        break
    call = message["tool_calls"][0]["function"]
    messages += [message, {"role": "tool", "content": do(call["name"], json.loads(call["arguments"]))}]
print("done")
"""
SPEC = """\
name = "obedient"
description = "Does what its model says."
argv = ["{python}", "-I", "/opt/agent/obedient.py"]
install = "."
network = "model"
model = "default"
"""


def lay_obedient(folder: Path) -> Path:
    """Lays the agent's program and spec in a folder that a sandbox can reach; returns the spec."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    (folder / "obedient.py").write_text(OBEDIENT)
    (folder / "obedient.toml").write_text(SPEC)
    return folder / "obedient.toml"
