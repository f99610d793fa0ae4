"""ldap3, as far as it is used here, without its complaints about pyasn1: a strict Python takes them as errors."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # It imports names from pyasn1 that have newer ones.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3
    from ldap3.core.exceptions import LDAPInvalidFilterError
    from ldap3.protocol.microsoft import security_descriptor_control
    from ldap3.protocol.sasl.sasl import send_sasl_negotiation
    from ldap3.utils.conv import escape_filter_chars
    from ldap3.utils.dn import escape_rdn

__all__ = [
    "LDAPInvalidFilterError",
    "escape_filter_chars",
    "escape_rdn",
    "ldap3",
    "security_descriptor_control",
    "send_sasl_negotiation",
]
