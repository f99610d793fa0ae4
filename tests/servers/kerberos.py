"""A Kerberos realm on loopback: MIT's KDC with its own database, and the keytabs and tickets of who is in it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from servers.processes import Daemon, environment, find_program, free_port

HOST = "127.0.0.1"

_CLIENT = """\
[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
udp_preference_limit = 1
qualify_shortname = ""
[realms]
{realm} = {{
 kdc = {host}:{port}
}}
[domain_realm]
{domain} = {realm}
.{domain} = {realm}
"""
_KDC = """\
[kdcdefaults]
kdc_listen = ""
kdc_tcp_listen = {host}:{port}
[realms]
{realm} = {{
 database_name = {folder}/principal
 key_stash_file = {folder}/stash
 acl_file = {folder}/acl
 max_life = 1h
 default_principal_flags = +preauth
}}
[logging]
kdc = FILE:{folder}/kdc.log
"""


def client_configuration(domain: str, host: str, port: int) -> str:
    """A krb5.conf of one realm, which is called as its domain and has one server."""
    return _CLIENT.format(realm=domain.upper(), domain=domain, host=host, port=port)


class Realm:
    """A realm and its KDC, as a context manager.

    Args:
        folder: for its files.
        users: their passwords, by name.
        hosts: full names of the machines that WinRM runs on.
        name: of the realm.
    """

    def __init__(self, folder: Path, users: Mapping[str, str], hosts: list[str], name: str = "EDGE.EXAMPLE") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.folder = folder
        self._users = users
        self._hosts = hosts
        self._daemon = Daemon([find_program("krb5kdc", "krb5-kdc"), "-n", "-r", name], folder, self.environment)
        self.port = 0

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process live in this realm, with a cache of tickets of its own."""
        return {
            "KRB5_CONFIG": str(self.folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf"),
            "KRB5CCNAME": f"FILE:{self.folder / 'tickets'}",
            "KRB5RCACHENAME": "none:",
        }

    @property
    def failures(self) -> int:
        """How many passwords the KDC has found wrong."""
        return (self.folder / "kdc.log").read_text("utf-8").count("PREAUTH_FAILED")

    def keytab(self, host: str) -> Path:
        """The keys of a machine."""
        return self.folder / f"{host}.keytab"

    def ticket(self, user: str) -> None:
        """Put a ticket into the cache of `environment`, as an operator does."""
        self._run("kinit", user, package="krb5-user", text=f"{self._users[user]}\n")

    def __enter__(self) -> Self:
        self.port = free_port([HOST])
        words = {
            "realm": self.name,
            "host": HOST,
            "port": self.port,
            "folder": self.folder,
        }
        (self.folder / "krb5.conf").write_text(client_configuration(self.name.lower(), HOST, self.port))
        (self.folder / "kdc.conf").write_text(_KDC.format(**words))
        self._run("kdb5_util", "create", "-s", "-r", self.name, "-P", "master")
        orders = [f"addprinc -pw {password} {user}" for user, password in self._users.items()]
        for host in self._hosts:
            orders += [f"addprinc -randkey HTTP/{host}", f"ktadd -k {self.keytab(host)} HTTP/{host}"]
        self._run("kadmin.local", "-r", self.name, text="".join(f"{order}\n" for order in orders))
        self._daemon.start(self._answers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._daemon.stop()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
            return True
        return False

    def _run(self, program: str, *arguments: str, package: str = "krb5-kdc", text: str = "") -> None:
        done = subprocess.run(
            [find_program(program, package), *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            env={**os.environ, **self.environment},
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def running_realm(folder: Path, users: Mapping[str, str], hosts: list[str]) -> Iterator[Realm]:
    """A realm that this process lives in while it runs."""
    with Realm(folder, users, hosts) as realm, environment(realm.environment):
        yield realm
