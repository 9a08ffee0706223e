"""The process that a service or command runs in: its streams and limits, its memory, and what it need not import."""
