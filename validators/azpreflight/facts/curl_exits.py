"""Exit codes of curl: the words of rows about reaching something, in which nodes and the operator's machine tell it."""

from __future__ import annotations

from typing import Final

UNSUPPORTED: Final = 1
MALFORMED: Final = 3
NOT_BUILT_IN: Final = 4
"""It was built without what is asked for, such as a version of TLS."""
PROXY_NAME: Final = 5
"""The name of the proxy does not resolve."""
NAME: Final = 6
"""The name of the host does not resolve."""
REFUSED: Final = 7
"""No connection, and before its time was over: curl does not tell a host that refuses from a network without a way."""
WEIRD_ANSWER: Final = 8
TIMEOUT: Final = 28
TLS_FAILED: Final = 35
EMPTY_ANSWER: Final = 52
BROKEN: Final = 56
CERTIFICATE: Final = 60
PROXY_HANDSHAKE: Final = 97

CERTIFICATES: Final = frozenset({51, CERTIFICATE})
"""A certificate does not hold; 51 was a code of its own until 7.61."""
TLS: Final = CERTIFICATES | {TLS_FAILED, 53, 54, 58, 59, 64, 66, 77, 80, 82, 83, 90, 91}
"""A TLS session did not come about, or nobody can trust it."""
BROKEN_OFF: Final = frozenset({WEIRD_ANSWER, 16, EMPTY_ANSWER, 55, BROKEN, 92, 95})
"""A connection stood and broke before an answer; curl's own words tell more."""
