"""A domain controller on loopback: Samba with a domain of its own, which tests fill with what is right and wrong.

LDAP's ports are fixed, so each session of tests has an address of its own. Nothing of it leaves the machine: no
forwarder is asked for other names.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import ldap3

from servers.directory import DOMAIN, PASSWORD, ROOT, Administrator
from servers.kerberos import client_configuration
from servers.processes import Daemon, StartError, environment, find_program
from servers.tls import Authority

NAME = "dc1.corp.example"
ADMINISTRATOR = f"Administrator@{DOMAIN}"
READER = f"reader@{DOMAIN}"
"""An account that may nothing that not every account may."""

START_SECONDS = 30.0
"""A domain controller does much before it answers, and more on a busy machine."""
_PORTS = (53, 88, 389, 464, 636, 3268, 3269)
_LOCK_PORT = 40389
_CONFIGURATION = """\
[global]
netbios name = DC1
realm = CORP.EXAMPLE
workgroup = CORP
server role = active directory domain controller
server services = ldap, kdc, dns
# As Active Directory: TLS is as good as signing, and without both nobody logs on.
ldap server require strong auth = allow_sasl_over_tls
interfaces = {address}/8
bind interfaces only = yes
tls enabled = yes
tls certfile = {certificate}
tls keyfile = {key}
tls cafile = {authority}
{folders}
[sysvol]
path = {folder}/state/sysvol
[netlogon]
path = {folder}/state/sysvol/corp.example/scripts
"""
_FOLDERS = ("private dir", "state directory", "cache directory", "lock directory", "pid directory", "ncalrpc dir")
_EDIT = """\
import sys
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
parameters = LoadParm()
parameters.load(sys.argv[1])
sam = SamDB(url=sys.argv[2], session_info=system_session(), lp=parameters)
sam.modify_ldif(sys.stdin.read(), sys.argv[3:])
"""
# The functional level of Windows Server 2016, and the name of the service that another part of Samba would register.
_PREPARED = f"""\
dn: {ROOT}
changetype: modify
replace: msDS-Behavior-Version
msDS-Behavior-Version: 7

dn: CN=Partitions,CN=Configuration,{ROOT}
changetype: modify
replace: msDS-Behavior-Version
msDS-Behavior-Version: 7

dn: CN=DC1,OU=Domain Controllers,{ROOT}
changetype: modify
add: servicePrincipalName
servicePrincipalName: ldap/{NAME}
"""


class DomainController:
    """A domain and its only controller, as a context manager.

    Args:
        folder: for its files.
        authority: signs its certificate.
    """

    def __init__(self, folder: Path, authority: Authority) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.authority = authority
        self.address = ""
        self._daemon: Daemon | None = None
        self._held = contextlib.ExitStack()

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process live in the domain's realm, with a cache of tickets of its own."""
        return {"KRB5_CONFIG": str(self.folder / "krb5.conf"), "KRB5CCNAME": f"FILE:{self.folder / 'tickets'}"}

    @contextlib.contextmanager
    def ticket(self, user: str) -> Iterator[None]:
        """Let this process live in the realm, with the ticket of a user."""
        with environment(self.environment):
            self._run(find_program("kinit", "krb5-user"), f"{user}@{DOMAIN.upper()}", text=f"{PASSWORD}\n")
            try:
                yield
            finally:
                (self.folder / "tickets").unlink(missing_ok=True)

    def edit(self, ldif: str, *controls: str) -> None:
        """Change what no running controller lets anybody change, in the files of the database."""
        # Samba's bindings belong to the Python that its own tool runs on.
        python = Path(find_program("samba-tool", "samba-ad-dc")).read_text().splitlines()[0].removeprefix("#!").split()
        self._run(*python, "-c", _EDIT, str(self._configuration), self._database, *controls, text=ldif)

    @contextlib.contextmanager
    def administrator(self) -> Iterator[Administrator]:
        """A conversation that may change everything."""
        server = ldap3.Server(self.address, port=636, use_ssl=True, get_info=ldap3.NONE)
        with ldap3.Connection(server, ADMINISTRATOR, PASSWORD, auto_bind=True, check_names=False) as connection:
            yield Administrator(connection, self._grant)

    def _grant(self, dn: str, entries: str) -> None:
        tool = find_program("samba-tool", "samba-ad-dc")
        options = [f"--configfile={self._configuration}", "-H", self._database, f"--objectdn={dn}", f"--sddl={entries}"]
        self._run(tool, "dsacl", "set", *options)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as held:
            self.address = held.enter_context(_address())
            self._provision()
            samba = find_program("samba", "samba-ad-dc")
            options = ["-s", str(self._configuration), "-F", "-M", "single", "--no-process-group", "--debug-stdout"]
            self._daemon = Daemon([samba, *options], self.folder)
            held.callback(self._daemon.stop)
            self._daemon.start(self._answers, START_SECONDS)
            with self.administrator() as administrator:
                administrator.add_user("reader")
            self._held = held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.close()

    @property
    def _configuration(self) -> Path:
        return self.folder / "samba.conf"

    @property
    def _database(self) -> str:
        return str(self.folder / "private" / "sam.ldb")

    def _provision(self) -> None:
        certificate = self.authority.issue(NAME)
        folders = "\n".join(f"{name} = {self.folder / name.split()[0]}" for name in _FOLDERS)
        self._configuration.write_text(
            _CONFIGURATION.format(
                address=self.address,
                certificate=certificate.certificate,
                key=certificate.key,
                authority=self.authority.file,
                folders=folders,
                folder=self.folder,
            )
        )
        (self.folder / "krb5.conf").write_text(client_configuration(DOMAIN, self.address, 88))
        self._run(
            *(find_program("samba-tool", "samba-ad-dc"), "domain", "provision", "--quiet"),
            *(f"--realm={DOMAIN.upper()}", "--domain=CORP", "--server-role=dc", "--dns-backend=SAMBA_INTERNAL"),
            *(f"--adminpass={PASSWORD}", "--host-name=dc1", f"--host-ip={self.address}"),
            *(f"--configfile={self._configuration}", "--option=dns forwarder="),
        )
        self.edit(_PREPARED)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), contextlib.ExitStack() as connections:
            for port in _PORTS:
                connections.enter_context(socket.create_connection((self.address, port), timeout=1))
            return True
        return False

    def _run(self, *command: str, text: str = "") -> None:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, check=False, timeout=60, env=_system_environment()
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _system_environment() -> dict[str, str]:
    """The environment without what leads the system's Python astray."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


@contextlib.contextmanager
def _address() -> Iterator[str]:
    """A loopback address on which nobody uses the ports of a domain controller; nobody else takes it meanwhile."""
    for number in range(1, 255):
        address = f"127.77.{number}.2"
        with contextlib.ExitStack() as held:
            try:
                lock = held.enter_context(socket.socket())
                lock.bind((address, _LOCK_PORT))
                lock.listen(1)
                for port in _PORTS:
                    with socket.socket() as probe:
                        probe.bind((address, port))
            except PermissionError:
                raise StartError("a domain controller needs the ports of LDAP, and so the tests need root") from None
            except OSError:
                continue
            yield address
            return
    raise StartError("no loopback address is free for a domain controller")
