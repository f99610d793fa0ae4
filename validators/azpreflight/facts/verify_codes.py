"""The numbers that OpenSSL gives the ways in which a certificate is not accepted (x509_vfy.h)."""

from __future__ import annotations

from typing import Final

NOT_YET_VALID: Final = 9
EXPIRED: Final = 10
SELF_SIGNED: Final = 18
SELF_SIGNED_AUTHORITY: Final = 19
NO_LOCAL_ISSUER: Final = 20
UNVERIFIABLE_LEAF: Final = 21
REVOKED: Final = 23
OTHER_NAME: Final = 62
OTHER_ADDRESS: Final = 64
