"""Who logs on to the directory, decided before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from azpreflight.credentials import Credential
from azpreflight.facts.winrm.tickets import Ticket


@dataclass(frozen=True)
class WithPassword:
    """A simple bind, over TLS alone."""

    credential: Credential


@dataclass(frozen=True)
class WithTicket:
    """A Kerberos bind. ticket: sees that there is one."""

    ticket: Ticket


@dataclass(frozen=True)
class Nobody:
    """No bind: only what domain controllers tell anybody. reason: what is missing, and how to give it."""

    reason: str


Login: TypeAlias = WithPassword | WithTicket | Nobody
