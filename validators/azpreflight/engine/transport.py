"""How nodes are authenticated to: what was asked for is checked, and `auto` chooses, before anything is sent."""

from __future__ import annotations

import importlib.util
import shutil
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from azpreflight.credentials import Credential
from azpreflight.errors import InputError
from azpreflight.model import Problem, Profile
from azpreflight.site.model import Site, Transport, WinRM

if TYPE_CHECKING:
    # It loads the network libraries, which planning does without.
    from azpreflight.facts.winrm.channel import Method

_EXTRAS = {
    Transport.KERBEROS: ("kerberos", ("kerberos", "winkerberos")),
    Transport.CREDSSP: ("credssp", ("requests_credssp",)),
}
"""Transports that need more than comes along: the extra of this package, and modules of which it brings one."""


@dataclass(frozen=True)
class Choice:
    """How nodes are authenticated to, and why when `auto` chose it."""

    method: Method
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.method}, chosen since {self.reason}" if self.reason is not None else self.method


def require_usable(wanted: Transport, settings: WinRM) -> None:
    """Hold a transport to the site and to what is installed. Contacts nobody.

    Raises:
        InputError: it would send the password in the clear, lacks a file, or needs an extra that is not installed.
    """
    match wanted:
        case Transport.BASIC if not settings.https:
            raise _refused("Basic over plain HTTP would send the password in the clear; set winrm.https, or use ntlm")
        case Transport.CERTIFICATE:
            _require_certificate(settings)
        case Transport.KERBEROS | Transport.CREDSSP if not is_installed(wanted):
            extra, _ = _EXTRAS[wanted]
            raise _refused(f"transport {wanted} needs more packages: pip install 'azpreflight[{extra}]'")


def choose(wanted: Transport, site: Site, credential: Credential) -> Choice:
    """The transport of a run. `auto` takes Kerberos where a directory stands behind it, else NTLM; never Basic.

    Raises:
        InputError: the credential does not go with it.
    """
    require_usable(wanted, site.winrm)
    match wanted:
        case Transport.AUTO:
            reason = _against_kerberos(site, credential)
            if reason is None:
                return Choice("kerberos", "the site has Active Directory and a ticket can be had")
            choice = Choice("ntlm", reason)
        case Transport.NTLM:
            choice = Choice("ntlm")
        case Transport.BASIC:
            choice = Choice("basic")
        case Transport.CREDSSP:
            choice = Choice("credssp")
        case Transport.CERTIFICATE:
            return Choice("certificate")
        case Transport.KERBEROS:
            if credential.password and "@" not in credential.username:
                raise _refused(
                    f"Kerberos needs the realm of {credential.username}: --username {_with_realm(site, credential)}"
                )
            if credential.password and shutil.which("kinit") is None:
                raise _refused("Kerberos with a password needs the program kinit (Debian: apt-get install krb5-user)")
            return Choice("kerberos")
    if not credential.password:
        raise InputError(Problem(code="no-credential", message=f"transport {choice.method} needs a password"))
    return choice


def without_password(
    wanted: Transport, site: Site, username: str | None, *, has_password: bool = False
) -> Credential | None:
    """The credential of a run that needs no password; None when it needs one.

    Args:
        wanted: the transport that was asked for.
        site: what is declared.
        username: who was asked for, None when nobody was.
        has_password: whether a password was given: it goes before a ticket.

    Raises:
        InputError: the transport cannot be used.
    """
    require_usable(wanted, site.winrm)
    if wanted is Transport.CERTIFICATE:
        return certificate_credential(site.winrm)
    if has_password:
        return None
    directory = site.profile is Profile.ACTIVE_DIRECTORY and is_installed(Transport.KERBEROS)
    if wanted is not Transport.KERBEROS and not (wanted is Transport.AUTO and directory):
        return None
    from azpreflight.facts.winrm.tickets import principal_at_hand

    principal = principal_at_hand()
    if principal is None or (username is not None and username.casefold() != principal.casefold()):
        return None
    return Credential(principal, "")


def certificate_credential(settings: WinRM) -> Credential:
    """Who a client certificate stands for: its subject."""
    from cryptography import x509

    assert settings.client_certificate is not None  # noqa: S101 - require_usable has seen to it
    certificate = x509.load_pem_x509_certificate(Path(settings.client_certificate).read_bytes())
    return Credential(certificate.subject.rfc4514_string() or "certificate", "")


def is_installed(transport: Transport) -> bool:
    """Whether the packages that a transport needs are there."""
    _, modules = _EXTRAS[transport]
    return any(importlib.util.find_spec(module) is not None for module in modules)


def _against_kerberos(site: Site, credential: Credential) -> str | None:
    """Why `auto` does not take Kerberos; None when it does."""
    if site.profile is not Profile.ACTIVE_DIRECTORY:
        return "the site has no Active Directory"
    if not is_installed(Transport.KERBEROS):
        return "azpreflight[kerberos] is not installed"
    if not credential.password:
        return None
    if "@" not in credential.username:
        return f"{credential.username} is given without a realm"
    return None if shutil.which("kinit") is not None else "there is no program kinit to get a ticket with"


def _with_realm(site: Site, credential: Credential) -> str:
    name = credential.username.rpartition("\\")[2]
    return f"{name}@{(site.directory.domain or 'EXAMPLE.COM').upper()}"


def _require_certificate(settings: WinRM) -> None:
    if not settings.https:
        raise _refused("client certificates are part of TLS; set winrm.https to true")
    if settings.client_certificate is None or settings.client_key is None:
        raise _refused("transport certificate needs winrm.client_certificate and winrm.client_key, PEM files of both")
    for setting, file in (("client_certificate", settings.client_certificate), ("client_key", settings.client_key)):
        if not Path(file).is_file():
            problem = Problem(code="unreadable", message=f"there is no file {file}", where=f"winrm.{setting}")
            raise InputError(problem)
    try:
        # An empty password keeps OpenSSL from asking for one on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
            settings.client_certificate, settings.client_key, password=""
        )
    except (OSError, ValueError) as error:
        message = (
            f"{settings.client_certificate} and {settings.client_key} are no certificate with its key in PEM, the key "
            f"without a passphrase ({getattr(error, 'reason', None) or error})"
        )
        raise InputError(Problem(code="unreadable", message=message, where="winrm.client_certificate")) from None


def _refused(message: str) -> InputError:
    return InputError(Problem(code="transport", message=message, where="transport"))
