"""The bridge `codex`: drives `codex app-server` inside the sandbox, and speaks jsonl for it.

Protocol: codex-rs/app-server/README.md of openai/codex; `codex app-server generate-json-schema` prints that of a release.
"""
