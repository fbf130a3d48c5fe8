"""The points between which a process may die: before and after each commit and each send.

Each is told as an audit event (PEP 578, `sys.audit`), which does nothing unless the process was started with a hook.
wattmesh itself has none; the chaos tests add one from outside, so that there is no way in a running market to set it
off. The event's argument says what is committed (`receive select`, `alarm collect`, …) or sent (`confirm`, …).
"""

from __future__ import annotations

from enum import StrEnum


class FaultPoint(StrEnum):
    """Names of the audit events."""

    BEFORE_COMMIT = "wattmesh.commit.before"
    """All of a transaction is written and none of it is on disk."""
    AFTER_COMMIT = "wattmesh.commit.after"
    """It is on disk; nothing was answered or sent yet."""
    BEFORE_SEND = "wattmesh.send.before"
    """A message is signed and not sent."""
    AFTER_SEND = "wattmesh.send.after"
    """The other side has answered; nobody here knows yet."""
    BEFORE_REGISTRY_COMMIT = "wattmesh.registry.commit.before"
    AFTER_REGISTRY_COMMIT = "wattmesh.registry.commit.after"
    BEFORE_BROADCAST = "wattmesh.broadcast.before"
    """A search is about to go to one seller."""
    AFTER_BROADCAST = "wattmesh.broadcast.after"
