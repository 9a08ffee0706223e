"""The conversation with agent hosts: liveness, snapshots, and one stream for each attempt.

The only room that imports `agenthost.v1`.
"""
