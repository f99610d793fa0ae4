"""A relay that makes servers on loopback seem far away: every datagram and every piece of a stream waits on its way.

A process of its own, so that what it costs is nobody's. Prints the ports it listens on as one line of JSON when it is
ready, and ends with its standard input. Argument: JSON, see `Far`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Far:
    """What is relayed.

    Attributes:
        seconds: round trip.
        udp, tcp: the ports of the servers on 127.0.0.1, each relayed from a port of its own.
        tcp_hosts: loopback addresses on which the first of `tcp` is offered, all on one port.
    """

    seconds: float
    udp: list[int] = field(default_factory=list)
    tcp: list[int] = field(default_factory=list)
    tcp_hosts: list[str] = field(default_factory=list)


class Datagrams(asyncio.DatagramProtocol):
    """Relays questions to one server; each client has a socket of its own, by which answers find back."""

    def __init__(self, port: int, seconds: float) -> None:
        self._port, self._seconds = port, seconds

    def connection_made(self, transport: Any) -> None:
        """Keep the way back."""
        self._transport = transport

    def datagram_received(self, data: bytes, client: Any) -> None:
        """Ask the server for the client after half of the way."""
        asyncio.get_running_loop().call_later(self._seconds / 2, asyncio.ensure_future, self._ask(data, client))

    async def _ask(self, data: bytes, client: Any) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect(("127.0.0.1", self._port))
            sock.send(data)
            answer = await asyncio.wait_for(loop.sock_recv(sock, 65535), 5)
        await asyncio.sleep(self._seconds / 2)
        self._transport.sendto(answer, client)


async def stream(port: int, seconds: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Relay one connection; the round trip of its handshake comes before anything else."""
    await asyncio.sleep(seconds)
    onward, outward = await asyncio.open_connection("127.0.0.1", port)

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await asyncio.sleep(seconds / 2)
            sink.write(data)
            await sink.drain()
        sink.close()

    with contextlib.suppress(OSError):
        await asyncio.gather(carry(reader, outward), carry(onward, writer))


async def relay(far: Far) -> None:
    """Listen, say where, relay until standard input ends."""
    loop = asyncio.get_running_loop()
    udp = [
        (await loop.create_datagram_endpoint(lambda port=port: Datagrams(port, far.seconds), ("127.0.0.1", 0)))[0]
        for port in far.udp
    ]
    tcp = [
        await asyncio.start_server(
            lambda reader, writer, port=port: stream(port, far.seconds, reader, writer), "127.0.0.1", 0, backlog=512
        )
        for port in far.tcp
    ]
    first = tcp[0].sockets[0].getsockname()[1] if tcp else 0
    for host in far.tcp_hosts:
        await asyncio.start_server(
            lambda reader, writer: stream(far.tcp[0], far.seconds, reader, writer), host, first, backlog=512
        )
    ports = {
        "udp": [transport.get_extra_info("sockname")[1] for transport in udp],
        "tcp": [server.sockets[0].getsockname()[1] for server in tcp],
    }
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    # Nothing here needs an orderly end, and what clients left open would complain of one.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(relay(Far(**json.loads(sys.argv[1]))))
