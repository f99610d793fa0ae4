"""The connection that authenticated, taken out of its pool and spoken to with Python's own http.client.

A conversation is one request after the other on one connection, to a server that keeps it: the layers that requests and
urllib3 put around each request cost more than sealing, sending and reading it.
"""

from __future__ import annotations

import http.client
import queue
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import requests
import requests.adapters
import urllib3
import urllib3.exceptions

from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status

MAX_ANSWER = 8 * 1024 * 1024
"""Bytes of one answer after which a node is taken to be broken; Windows sends 500 KiB at most by default."""

MAX_REFUSAL = 64 * 1024
"""Bytes of a 401, which the authentication handlers read whole before anybody knows who answers."""


class Reply(NamedTuple):
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Line:
    """The connection of a pool that has just one: the authenticated one.

    Raises:
        urllib3.exceptions.ProtocolError: the node closed it already.
    """

    def __init__(self, pool: urllib3.HTTPConnectionPool) -> None:
        idle: queue.LifoQueue[http.client.HTTPConnection | None] | None = pool.pool
        found = idle.get(block=False) if idle is not None else None
        if found is None:
            raise urllib3.exceptions.ProtocolError("the node closed the connection after it had authenticated")
        self._connection = found

    def post(self, body: bytes, headers: Mapping[str, str], deadline: Deadline) -> Reply:
        """Send one request and read its answer; nothing here answers a 401 with another attempt.

        Raises:
            WireError: the answer is too large, too slow, or was cut.
            OSError, http.client.HTTPException: the connection broke.
        """
        base = http.client.HTTPConnection
        if self._connection.sock is not None:
            self._connection.sock.settimeout(deadline.remaining or 0.001)
        # The methods of the base class: those of urllib3's subclass add what nobody needs here.
        base.request(self._connection, "POST", "/wsman", body, cast("dict[str, str]", headers))
        response = base.getresponse(self._connection)
        try:
            content = read_whole(lambda: response.read1(65_536), deadline)
            if response.length:
                raise urllib3.exceptions.IncompleteRead(len(content), response.length)
        finally:
            response.close()
        return Reply(response.status, cast("Mapping[str, str]", response.headers), content)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def read_whole(read: Callable[[], bytes], deadline: Deadline) -> bytes:
    """A whole body, within the deadline and the bound on its size, however slowly it drips.

    Raises:
        WireError: it is too large, or does not end.
    """
    chunks: list[bytes] = []
    size = 0
    while chunk := read():
        size += len(chunk)
        chunks.append(chunk)
        if size > MAX_ANSWER:
            raise WireError(Status.FAILED, f"the answer is larger than {MAX_ANSWER >> 20} MiB", fatal=True)
        if deadline.over:
            raise WireError(Status.TIMED_OUT, "the answer did not end in the time given", fatal=True)
    return b"".join(chunks)


class BoundedAdapter(requests.adapters.HTTPAdapter):
    """Refuses a 401 that is not plainly small: authentication handlers read it whole, whoever sent it."""

    def send(self, *args: object, **kwargs: object) -> requests.Response:
        """Send a request, and look at the size of a refusal before anybody reads it."""
        response = super().send(*args, **kwargs)  # type: ignore[arg-type]
        length = response.headers.get("Content-Length", "")
        small = length.isascii() and length.isdigit() and int(length) <= MAX_REFUSAL
        if response.status_code == requests.codes.unauthorized and not small:
            response.close()
            message = f"a refusal of {length or 'unknown'} bytes, which no WinRM service sends"
            raise requests.exceptions.InvalidHeader(message)
        return response
