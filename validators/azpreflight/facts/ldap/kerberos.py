"""Logging on with a Kerberos ticket: SASL GSSAPI (RFC 4752), with sealing where no TLS protects the line.

ldap3 has this without sealing; and it offers NTLM, which is left out: it needs no ticket, but protects nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import spnego
import spnego.channel_bindings
import spnego.exceptions

from azpreflight.facts.errors import WireError
from azpreflight.facts.ldap.results import SASL_CONTINUES, SUCCESS, logon_error
from azpreflight.facts.ldap.wire import Line, channel_binding
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm.tickets import failure

MECHANISM = "GSSAPI"
_MOST_ROUNDS = 8
_WITH_TLS = spnego.ContextReq.mutual_auth | spnego.ContextReq.sequence_detect
"""Active Directory takes no protection by Kerberos inside TLS ([MS-ADTS] 5.1.1.1.2)."""
_WITHOUT_TLS = _WITH_TLS | spnego.ContextReq.integrity | spnego.ContextReq.confidentiality
_NO_LAYER, _SEALED = 1, 4
_MEANT = re.compile(r"Minor \(\d+\): (.+?)(?:, Context: |$)")
"""What tells most in the errors of pyspnego."""
_LARGEST = 0xFFFFFF
"""Of the sealed messages that are taken, in bytes."""


Bind: TypeAlias = Callable[[bytes], dict[str, Any]]
"""Sends one token of the mechanism to the directory, and brings the result of the bind as ldap3 has it."""


@dataclass(frozen=True)
class _Sealed:
    context: spnego.ContextProxy

    def wrap(self, data: bytes) -> bytes:
        return self.context.wrap(data, encrypt=True).data

    def unwrap(self, data: bytes) -> bytes:
        try:
            return self.context.unwrap(data).data
        except spnego.exceptions.SpnegoError as error:
            raise OSError("a sealed message is damaged") from error


def log_on(bind: Bind, line: Line, host: str, controller: str) -> None:
    """Bind with the ticket at hand, once.

    Args:
        bind: sends tokens.
        line: gets sealed when there is no TLS on it.
        host: the name of the domain controller in the Kerberos realm.
        controller: as it is called in messages.

    Raises:
        WireError: there is no ticket for the service, or the directory refused.
    """
    binding = channel_binding(line.stream)
    bindings = spnego.channel_bindings.GssChannelBindings(application_data=binding) if binding is not None else None
    try:
        context = spnego.client(
            hostname=host,
            service="ldap",
            protocol="kerberos",
            channel_bindings=bindings,
            context_req=_WITH_TLS if binding is not None else _WITHOUT_TLS,
        )
        result = _authenticated(context, bind, controller)
        offer = context.unwrap(result["saslCreds"] or b"").data
        layer = _NO_LAYER if binding is not None else _SEALED
        if len(offer) != 4 or not offer[0] & layer:
            raise WireError(
                Status.REFUSED,
                f"{controller} offers no {'sealing' if layer == _SEALED else 'logon without sealing inside TLS'}",
            )
        largest = _LARGEST if layer == _SEALED else 0
        answer = bytes([layer]) + largest.to_bytes(3)
        result = bind(context.wrap(answer, encrypt=False).data)
    except spnego.exceptions.SpnegoError as error:
        found = _MEANT.search(str(error))
        raise failure(found[1] if found else str(error), f"no logon to {controller} as ldap/{host}") from error
    if result["result"] != SUCCESS:
        raise logon_error(result, "the Kerberos ticket", controller)
    if layer == _SEALED:
        line.seal(_Sealed(context))


def _authenticated(context: spnego.ContextProxy, bind: Bind, controller: str) -> dict[str, Any]:
    """The answer in which the directory offers its layers."""
    token = context.step()
    for _ in range(_MOST_ROUNDS):
        result = bind(token or b"")
        if result["result"] != SASL_CONTINUES:
            raise logon_error(result, "the Kerberos ticket", controller)
        if context.complete:
            return result
        token = context.step(result["saslCreds"])
    raise WireError(Status.FAILED, f"{controller} does not come to an end of the Kerberos exchange")
