"""Real proxies on loopback: one that inspects TLS, one that refuses CONNECT to a port, one that wants a password."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from servers.processes import Daemon, MissingProgramError, find_program, free_port
from servers.tls import HOST, Certificate

MITMDUMP = "AZPREFLIGHT_MITMDUMP"
"""Variable with the path of mitmdump, which has an environment of its own: its dependencies are not ours."""
_FOLDER = Path(__file__).parent.parent.parent / ".venv-mitmproxy"

PASSWORD = "proxy-password-of-the-tests"


@dataclass(frozen=True)
class Proxy:
    """A running proxy. authority: what inspected certificates come from, None for a proxy that looks at none."""

    url: str
    authority: Path | None = None


def mitmdump() -> str:
    """The path of mitmdump.

    Raises:
        MissingProgramError: it is not installed.
    """
    path = Path(os.environ.get(MITMDUMP) or _FOLDER / "bin" / "mitmdump")
    if not path.is_file():
        how = f"python3 -m venv {_FOLDER} && {_FOLDER}/bin/pip install mitmproxy, or set {MITMDUMP} to its path"
        raise MissingProgramError(f"the tests need mitmdump of mitmproxy: {how}")
    return str(path)


@contextlib.contextmanager
def inspecting(folder: Path, upstream_authority: Path) -> Iterator[Proxy]:
    """mitmproxy: a session of its own with each side, certificates by an authority that it makes for itself.

    upstream_authority: what it trusts.
    """
    program, settings = mitmdump(), folder / "settings"
    settings.mkdir(parents=True)

    def command(port: int) -> list[str]:
        trust = f"ssl_verify_upstream_trusted_ca={upstream_authority}"
        listen = ["--listen-host", HOST, "--listen-port", str(port)]
        return [program, *listen, "--set", f"confdir={settings}", "--set", trust, "-q"]

    # A certificate is made on the first start.
    authority = settings / "mitmproxy-ca-cert.pem"
    with _running(folder, command, authority.is_file) as port:
        yield Proxy(f"http://{HOST}:{port}", authority)


@contextlib.contextmanager
def refusing(folder: Path, *allowed: int) -> Iterator[Proxy]:
    """tinyproxy: CONNECT to the allowed ports alone, 403 for all others."""
    program = find_program("tinyproxy", "tinyproxy-bin")

    def command(port: int) -> list[str]:
        lines = [f"Port {port}", f"Listen {HOST}", f"Allow {HOST}", "MaxClients 100", "Timeout 30"]
        lines += [f"ConnectPort {number}" for number in allowed]
        (folder / "tinyproxy.conf").write_text("\n".join([*lines, ""]))
        return [program, "-d", "-c", str(folder / "tinyproxy.conf")]

    with _running(folder, command, lambda: True) as port:
        yield Proxy(f"http://{HOST}:{port}")


@contextlib.contextmanager
def wanting_a_password(folder: Path) -> Iterator[Proxy]:
    """proxy.py: 407 for whoever does not log on."""

    def command(port: int) -> list[str]:
        listen = ["--hostname", HOST, "--port", str(port), "--num-workers", "1", "--num-acceptors", "1"]
        start = [sys.executable, "-m", "proxy", *listen, "--data-dir", str(folder / "data")]
        return [*start, "--basic-auth", f"operator:{PASSWORD}", "--log-level", "e"]

    with _running(folder, command, lambda: True) as port:
        yield Proxy(f"http://{HOST}:{port}")


@contextlib.contextmanager
def over_tls(folder: Path, certificate: Certificate) -> Iterator[Proxy]:
    """proxy.py without a password, spoken to over TLS."""

    def command(port: int) -> list[str]:
        listen = ["--hostname", HOST, "--port", str(port), "--num-workers", "1", "--num-acceptors", "1"]
        start = [sys.executable, "-m", "proxy", *listen, "--data-dir", str(folder / "data"), "--log-level", "e"]
        return [*start, "--cert-file", str(certificate.certificate), "--key-file", str(certificate.key)]

    with _running(folder, command, lambda: True) as port:
        yield Proxy(f"https://localhost:{port}")


@contextlib.contextmanager
def _running(folder: Path, command: Callable[[int], list[str]], made: Callable[[], bool]) -> Iterator[int]:
    """A proxy on a free port that takes connections, in a folder of its own; ended on every path."""
    folder.mkdir(parents=True, exist_ok=True)
    port = 0
    daemon = Daemon([], folder)

    def configure() -> None:
        nonlocal port
        port = free_port()
        daemon.command = command(port)

    def ready() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return made()
        return False

    daemon.start_configured(configure, ready)
    try:
        yield port
    finally:
        daemon.stop()
