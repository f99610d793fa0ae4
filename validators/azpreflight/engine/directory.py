"""Who logs on to the site's directory: decided, and refused where it would be unsafe, before anything is sent."""

from __future__ import annotations

import importlib.util
import ssl
from typing import TYPE_CHECKING

from azpreflight.credentials import DIRECTORY_USERNAME_VARIABLE, Credential
from azpreflight.engine.transport import is_installed
from azpreflight.errors import InputError
from azpreflight.facts.collection import Collection
from azpreflight.facts.query import LdapQuery
from azpreflight.model import Problem
from azpreflight.site.model import DirectoryTls, Site, Transport

if TYPE_CHECKING:
    # They load the network libraries, which planning does without.
    from azpreflight.facts.ldap.login import Login
    from azpreflight.facts.winrm.tickets import Ticket

_NO_LOGIN = (
    "nobody to log on to the directory as: give --directory-username (or set "
    f"{DIRECTORY_USERNAME_VARIABLE}) with --directory-password-file, or get a Kerberos ticket with kinit"
)


def choose_login(collection: Collection, credential: Credential | None, ticket: Ticket | None) -> Login:
    """How the directory is logged on to.

    A password means a simple bind, which TLS has to protect. Without one, the ticket that nodes are shown serves the
    directory as well, else one that the operator holds. Without either, nobody logs on, and only the facts that need it
    are missing.

    Args:
        collection: whose LDAP queries are to be answered.
        credential: for the directory, None when none was given.
        ticket: of the run, when nodes are authenticated to with Kerberos.

    Raises:
        InputError: the password would travel in the clear or is missing, or the file of authorities cannot be read.
    """
    from azpreflight.facts.ldap.login import Nobody, WithPassword, WithTicket
    from azpreflight.facts.winrm.tickets import Ticket, principal_at_hand

    site = collection.site
    if not site.directory.domain or not collection.of_kinds((LdapQuery,)):
        return Nobody("the site does not declare directory.domain")
    _require_ca_file(site.directory.ca_file)
    if credential is not None:
        return WithPassword(_simple(credential, site))
    if not (is_installed(Transport.KERBEROS) and importlib.util.find_spec("gssapi") is not None):
        return Nobody(f"{_NO_LOGIN}, which azpreflight[kerberos] shows")
    if ticket is not None:
        return WithTicket(ticket)
    principal = principal_at_hand()
    return WithTicket(Ticket(principal, "")) if principal is not None else Nobody(_NO_LOGIN)


def is_unverified(collection: Collection) -> bool:
    """Whether certificates of domain controllers are accepted as they are."""
    settings = collection.site.directory
    asked = bool(settings.domain) and bool(collection.of_kinds((LdapQuery,)))
    return asked and settings.tls is not DirectoryTls.NONE and not settings.verify


def _require_ca_file(ca_file: str | None) -> None:
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        message = f"{ca_file} holds no certificates in PEM: {getattr(error, 'reason', None) or error.strerror}"
        raise InputError(Problem(code="unreadable", message=message, where="directory.ca_file")) from None


def _simple(credential: Credential, site: Site) -> Credential:
    """The credential as a simple bind takes it: a bare account name becomes one of the domain."""
    if site.directory.tls is DirectoryTls.NONE:
        message = (
            "directory.tls is none, which would send the directory's password in the clear; set it to ldaps or "
            "starttls, or log on with a Kerberos ticket, which seals the conversation"
        )
        raise InputError(Problem(code="transport", message=message, where="directory.tls"))
    if not credential.password:
        # To a directory, a name without a password is nobody, and it would say that the logon succeeded.
        message = f"the directory's user {credential.username} has no password"
        raise InputError(Problem(code="no-credential", message=message, where="--directory-password-file"))
    bare = not any(mark in credential.username for mark in "@\\=")
    if not bare or not site.directory.domain:
        return credential
    return Credential(f"{credential.username}@{site.directory.domain}", credential.password)
