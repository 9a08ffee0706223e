"""An agent of the protocol, made with PyPI's agent-client-protocol: does what the words of its prompt say, one a line.

say TEXT   think TEXT   read PATH   edit PATH (asks first)   ask METHOD   print TEXT   refuse   end REASON   die
"""

import asyncio
import os
import sys
from typing import Any

import acp
from acp.schema import PermissionOption, SessionMode, SessionModeState, ToolCallUpdate, Usage

MODES = SessionModeState(
    current_mode_id="default",
    available_modes=[SessionMode(id="default", name="Default"), SessionMode(id="plan", name="Plan")],
)
OPTIONS = [
    PermissionOption(option_id="yes", name="Allow", kind="allow_once"),
    PermissionOption(option_id="no", name="Reject", kind="reject_once"),
]


class ScriptedAgent(acp.Agent):
    """Knows one session."""

    def __init__(self) -> None:
        self.mode = "default"
        self.calls = 0

    def on_connect(self, conn: acp.Client) -> None:
        self.client = conn

    async def initialize(self, protocol_version: int, **_: Any) -> acp.InitializeResponse:
        return acp.InitializeResponse(protocol_version=int(os.environ.get("VERSION", protocol_version)))

    async def authenticate(self, method_id: str, **_: Any) -> acp.AuthenticateResponse:
        if method_id != "key":
            raise acp.RequestError.invalid_params({"method": method_id})
        return acp.AuthenticateResponse()

    async def new_session(self, cwd: str, **_: Any) -> acp.NewSessionResponse:
        return acp.NewSessionResponse(session_id="s1", modes=None if os.environ.get("MODELESS") else MODES)

    async def set_session_mode(self, session_id: str, mode_id: str, **_: Any) -> None:
        self.mode = mode_id
        if os.environ.get("CHATTY"):
            await self.client.session_update(session_id, acp.update_agent_message_text("Welcome!"))

    async def cancel(self, session_id: str, **_: Any) -> None:
        self.cancelled.set()

    async def prompt(self, session_id: str, prompt: list[Any], **_: Any) -> acp.PromptResponse:
        self.session, self.cancelled = session_id, asyncio.Event()
        for line in prompt[0].text.splitlines():
            word, _, rest = line.partition(" ")
            if word == "end":
                return acp.PromptResponse(stop_reason=rest)  # type: ignore[arg-type]
            await getattr(self, f"_{word}")(rest)
        return acp.PromptResponse(
            stop_reason="end_turn", usage=Usage(input_tokens=11, output_tokens=7, total_tokens=18)
        )

    async def _say(self, text: str) -> None:
        await self.client.session_update(self.session, acp.update_agent_message_text(text))

    async def _mode(self, _: str) -> None:
        await self._say(self.mode)

    async def _think(self, text: str) -> None:
        await self.client.session_update(self.session, acp.update_agent_thought_text(text))

    async def _read(self, path: str) -> None:
        await self._work("read", path)

    async def _edit(self, path: str) -> None:
        await self._work("edit", path)

    async def _work(self, kind: Any, path: str) -> None:
        self.calls += 1
        name = f"call{self.calls}"
        await self.client.session_update(self.session, acp.start_tool_call(name, kind, kind=kind, status="pending"))
        asked = ToolCallUpdate(tool_call_id=name, kind=kind, title=f"{kind} {path}")
        decision = await self.client.request_permission(session_id=self.session, tool_call=asked, options=OPTIONS)
        allowed = getattr(decision.outcome, "option_id", "") == "yes"
        content = [acp.tool_content(acp.text_block(f"{path}: done" if allowed else "refused"))]
        status: Any = "completed" if allowed else "failed"
        update = acp.update_tool_call(name, status=status, content=content, raw_input={"path": path})
        await self.client.session_update(self.session, update)

    async def _ask(self, path: str) -> None:
        try:
            await self.client.read_text_file(session_id=self.session, path=path)
        except acp.RequestError as error:
            await self._say(f"[{error.code}]")

    async def _print(self, text: str) -> None:
        os.write(1, f"{text}\n".encode())

    async def _refuse(self, _: str) -> None:
        raise acp.RequestError.internal_error({"details": "401 no key"})

    async def _wait(self, _: str) -> None:
        await self.cancelled.wait()

    async def _die(self, _: str) -> None:
        os._exit(3)


if __name__ == "__main__":
    sys.stderr.write("the agent starts\n")
    asyncio.run(acp.run_agent(ScriptedAgent()))
