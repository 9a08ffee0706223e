"""Chooses the user of an attempt: one of its own where the host is root, so that no two share what the kernel counts for a user.

That is room in pipes, descriptors on their way through sockets, watches of epoll. An ordinary user's host has no other user.
"""

from __future__ import annotations

import os
import socket

USERS = 256


class User:
    """The user of one attempt. It is taken on this machine for as long as this process lives."""

    def __init__(self, first: int) -> None:
        self.is_own = False
        self.uid = os.getuid()
        self.claim: socket.socket | None = None
        if self.uid == 0:
            self.uid = first
            self._choose(first)

    def _choose(self, first: int) -> None:
        """Takes the first free user; where all are taken, attempts share one."""
        for uid in range(first, first + USERS):
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                claim.bind(f"\0agenthost-user-{uid}")  # the kernel frees the name with the process
            except OSError:
                claim.close()
                continue
            self.claim, self.uid, self.is_own = claim, uid, True
            return

    def described(self) -> str:
        """Returns in words whether other attempts have the same user."""
        if self.is_own:
            return "quotas of the kernel: a user for this attempt alone"
        return "quotas of the kernel for a user (pipes, descriptors in flight, epoll): shared with what else runs as this user"
