"""TLS with nodes: what their certificates are held to, and what this machine shows of its own."""

from __future__ import annotations

import functools
import ssl
from typing import Any, Literal

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from azpreflight.facts.winrm.line import BoundedAdapter


@functools.lru_cache(maxsize=8)
def tls_context(ca_file: str | None, client: tuple[str, str] | None, *, verify: bool) -> ssl.SSLContext:
    """What certificates of nodes are held to. Reading the public authorities takes longer than a whole request."""
    context = ssl.create_default_context(cafile=ca_file or DEFAULT_CA_BUNDLE_PATH)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if client is not None:
        context.load_cert_chain(*client, password=b"")
        # Windows asks for a client's certificate in the middle of a connection, which TLS 1.3 has no way to do that
        # requests could answer.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


class NodeAdapter(BoundedAdapter):
    """Connects with the shared TLS context, and holds the certificate to the node's name behind a tunnel as well.

    Args:
        context: from `tls_context`.
        name: the name or address that the certificate must bear; False when it is not verified.
    """

    def __init__(self, context: ssl.SSLContext, name: str | Literal[False]) -> None:
        self._tls = {"ssl_context": context, "assert_hostname": name}
        super().__init__()

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        """Host and TLS of a connection, as urllib3 wants them."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, self._tls

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the context decides."""
