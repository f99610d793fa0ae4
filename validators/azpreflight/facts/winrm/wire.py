"""What a session needs of whatever carries its envelopes to a node and the answers back."""

from __future__ import annotations

from typing import Protocol

from azpreflight.facts.deadline import Deadline


class Wire(Protocol):
    """A `Channel`, or what stands in its place."""

    @property
    def authenticated(self) -> bool:
        """Whether the node has accepted the credential on this connection."""
        ...

    def connect(self, deadline: Deadline) -> None:
        """Authenticate, where that needs no question; nothing otherwise. Raises `WireError` when it fails."""
        ...

    def send(self, message: bytes, deadline: Deadline) -> bytes:
        """Send one envelope and return the decrypted answer. Raises `WireError` when there is none."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...
