"""Runs agents as sandboxed, strictly read-only processes on a host, and streams what they say."""

import os

# Before any `import grpc`: with gRPC's fork handlers on, children spawned beside an open stream crash (grpc#43055).
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
