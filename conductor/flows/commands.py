"""A step that runs a command as what it is: a question to the agent that a host makes of it, with a result of one form.

The name of that agent must be that of `agenthost/core/admission/commands.py`, the form that of `agenthost/agents/command`.
"""

from google.protobuf import json_format

from conductor.v1 import flow_service_pb2

OutputSpec = flow_service_pb2.OutputSpec
Step = flow_service_pb2.Flow.Step

PREFIX = "command-"
PROMPT = "Run the command.\n"
_MEMBERS = {
    "exit_code": {"type": "integer"},
    "stdout": {"type": "string"},
    "stderr": {"type": "string"},
    "truncated": {"type": "boolean"},
}


def command_output() -> OutputSpec:
    """Returns the form of a command's result."""
    spec = OutputSpec()
    json_format.ParseDict({"type": "object", "properties": _MEMBERS, "required": list(_MEMBERS)}, spec.schema)
    return spec


def run_by_agent(step: Step) -> Step:
    """Returns a step that runs a command as one that asks the agent which runs it."""
    made, command = Step(), step.command
    made.CopyFrom(step)
    made.agent.agents.append(PREFIX + command.command)
    made.agent.prompt = PROMPT
    made.agent.parameters.update(command.parameters)
    made.agent.labels.update(command.labels)
    if command.HasField("timeout"):
        made.agent.timeout.CopyFrom(command.timeout)
        made.agent.idle_timeout.CopyFrom(command.timeout)
        made.agent.first_output_timeout.CopyFrom(command.timeout)
    made.agent.output.CopyFrom(command_output())
    return made
