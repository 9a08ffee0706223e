"""The agent `reader`: answers a question about the snapshot with any OpenAI-compatible model and a few reading tools.

    program ─▶ loop ─▶ chat (HTTP, server-sent events)
                 ├───▶ calls (tool calls, however a model writes them)
                 ├───▶ tools ─▶ files, history
                 ├───▶ window (what fits into the model's context)
                 └───▶ voice (the jsonl dialect)

Standard library only: it starts for every attempt, and its folder is all that the sandbox shows of it.
"""
