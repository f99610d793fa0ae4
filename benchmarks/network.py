"""What checking DNS servers and outbound endpoints costs, in one run: azpreflight and the ways that people use.

    python benchmarks/network.py [--quick] [--rounds N]

Servers are real (BIND, nginx) and far away: a relay holds every packet back. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# In place of this folder, in which winrm.py would be found where pywinrm's package `winrm` is meant.
sys.path[:1] = [str(ROOT / "tests"), str(ROOT / "validators")]

import dns.exception  # noqa: E402 - the tests' servers lie beside
import dns.resolver  # noqa: E402
import requests  # noqa: E402

from azpreflight import load_site  # noqa: E402
from azpreflight.facts.collection import Collection  # noqa: E402
from azpreflight.facts.deadline import Deadline  # noqa: E402
from azpreflight.facts.network.dns import DnsSource  # noqa: E402
from azpreflight.facts.observation import Observation  # noqa: E402
from azpreflight.facts.query import CurlQuery, DnsQuery, Query  # noqa: E402
from azpreflight.facts.winrm import curl  # noqa: E402
from azpreflight.facts.winrm.channel import Endpoint  # noqa: E402
from azpreflight.facts.winrm.source import WinrmSource  # noqa: E402
from azpreflight.model import Phase, Sureness  # noqa: E402
from azpreflight.packs.load import load_packs  # noqa: E402
from servers.dns import DnsServer, View, Zone  # noqa: E402
from servers.lab import Lab, running_lab  # noqa: E402
from servers.processes import find_program  # noqa: E402
from servers.tls import Authority, Nginx, Site  # noqa: E402

NAMES = 64
SERVERS = ("192.0.2.53", "192.0.2.54", "192.0.2.55")
"""As declared; they are reached on loopback."""
ROUND_TRIP = 0.02
ZONE = Zone("edge.example", {f"name{number:02}": [f"A 203.0.113.{number}"] for number in range(NAMES)})

Answers = Mapping[tuple[str, str], str]
"""What each server said for each name."""


@dataclass(frozen=True)
class Turn:
    """One measurement: seconds of wall time, and of CPU of this process and those it started."""

    wall: float
    cpu: float


def measured(do: Callable[[], object]) -> tuple[Turn, object]:
    """How long something takes, and what it brings."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    found = do()
    return Turn(time.perf_counter() - wall, cpu_seconds() - cpu), found


def cpu_seconds() -> float:
    """CPU time so far, of this process and those it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


@contextmanager
def far(**what: object) -> Iterator[dict[str, list[int]]]:
    """The relay, with the ports it listens on."""
    command = [sys.executable, str(ROOT / "benchmarks/far.py"), json.dumps(what)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None  # noqa: S101 - asked for above
        yield json.loads(process.stdout.readline())
        process.communicate()


def rounds(ways: Mapping[str, Callable[[], object]], count: int) -> dict[str, list[Turn]]:
    """Every way in turn, `count` times, after one round that does not count; all have to bring the same.

    Raises:
        RuntimeError: they did not.
    """
    turns: dict[str, list[Turn]] = {way: [] for way in ways}
    for number in range(count + 1):
        brought = []
        for way, do in ways.items():
            turn, found = measured(do)
            brought.append(found)
            if number:
                turns[way].append(turn)
        if any(found != brought[0] for found in brought):
            raise RuntimeError("the ways did not bring the same")
    return turns


def table(title: str, turns: Mapping[str, Sequence[Turn]], note: str) -> None:
    """Print a table in Markdown; the last way is ours."""
    ours = list(turns.values())[-1]
    sys.stdout.write(f"\n### {title}\n\n| way | wall s | wall / ours | CPU s | CPU / ours |\n|---|---|---|---|---|\n")
    for way, found in turns.items():
        cells = [way]
        for part in ("wall", "cpu"):
            values = [getattr(turn, part) for turn in found]
            middle = statistics.median(values)
            least = statistics.median(getattr(turn, part) for turn in ours)
            cells += [f"{middle:.3f} ({min(values):.3f}-{max(values):.3f})", f"{middle / least:.1f}"]
        sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.write(f"\n{note}\n")
    sys.stdout.flush()


def names_of_zone(count: int, turns_each: int) -> None:
    """Table 1: so many names at three servers."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bind = stack.enter_context(DnsServer(folder, {server: View([ZONE]) for server in SERVERS}))
        relay = stack.enter_context(far(seconds=ROUND_TRIP, udp=[bind.at(server).port for server in SERVERS]))
        ports = dict(zip(SERVERS, relay["udp"], strict=True))
        names = [f"name{number:02}.edge.example" for number in range(count)]
        dig = find_program("dig", "bind9-dnsutils")
        collection = collected(folder, tuple(names))
        ways = {
            "dig, one by one": lambda: by_dig(dig, names, ports),
            "dnspython's resolver, one name after the other": lambda: by_resolver(names, ports),
            "azpreflight, `DnsSource`": lambda: by_azpreflight(collection, ports),
        }
        turns = rounds(ways, turns_each)
    note = f"Median (least-most) of {turns_each} turns; all brought the same addresses."
    table(f"1. {count} names at 3 DNS servers, {ROUND_TRIP * 1000:g} ms away", turns, note)


def by_dig(dig: str, names: Sequence[str], ports: Mapping[str, int]) -> Answers:
    """A process for each question."""
    found = {}
    for server, port in ports.items():
        for name in names:
            command = [dig, "@127.0.0.1", "-p", str(port), "+short", name, "A"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
            found[server, name] = done.stdout.strip()
    return found


def by_resolver(names: Sequence[str], ports: Mapping[str, int]) -> Answers:
    """As dnspython's documentation begins: a resolver for each server, asked for one name after the other."""
    found = {}
    for server, port in ports.items():
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], port
        for name in names:
            found[server, name] = str(resolver.resolve(name, "A")[0])
    return found


def by_azpreflight(collection: Collection, ports: Mapping[str, int]) -> Answers:
    """All questions as a run asks them."""
    kept: list[Observation] = []
    source = DnsSource(lambda host, _: ("127.0.0.1", ports[host]))
    source.collect_site(collection, Deadline(60), kept.append)
    return {(row["server"], row["name"]): row["answers"][0] for observation in kept for row in observation.value}


def collected(folder: Path, names: tuple[str, ...]) -> Collection:
    """A collection of one fact: those names at the declared servers."""
    site = folder / "site.yaml"
    servers = ", ".join(SERVERS)
    site.write_text(
        "name: bench\nprofile: local-identity\nnodes: [{name: AZL-N01, address: 192.0.2.11}]\n"
        f"network: {{dns: {{servers: [{servers}], zone: edge.example}}}}\n"
    )
    read = DnsQuery(names=names, type="A")
    query = Query(read=read, title="names", sureness=Sureness.DOCUMENTED, basis="RFC 1035")
    return Collection(load_site(site).site, Phase.PRE_DEPLOY, {"dns.names": query}, {}, load_packs().classes)


HOSTS = 100
HOLES = 10
"""How many of them take no connection and do not refuse it either."""
GIVE_UP = 8.0
"""Seconds after which a connect is given up, as in the work list of curl."""


def endpoints(count: int, holes: int, turns_each: int, give_up: float) -> None:
    """Tables 2 and 3: so many hosts from one node, all there; then some of them black holes."""
    hosts = [f"127.0.1.{number}" for number in range(1, count + 1)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        authority = Authority(folder / "authority")
        listeners = {"http": Site(None), "https": Site(authority.issue(*hosts), status=404)}
        nginx = stack.enter_context(Nginx(folder / "nginx", listeners))
        there = hosts[: count - holes]
        relay = stack.enter_context(far(seconds=ROUND_TRIP, tcp=[nginx.port("https")], tcp_hosts=hosts))
        port = relay["tcp"][0]
        lab = stack.enter_context(running_lab(folder, 1, curl_arguments=["--cacert", str(authority.file)]))
        node = Node(lab)

        def ways(urls: Sequence[str]) -> dict[str, Callable[[], object]]:
            return {
                "requests, one after the other": lambda: by_requests(urls, authority.file, give_up),
                "curl, a process for each": lambda: by_curl(urls, authority.file, give_up),
                "azpreflight, through the node's curl": lambda: node.reaches(urls),
            }

        turns = rounds(ways([f"https://{host}:{port}/" for host in hosts]), turns_each)
        note = (
            f"Median (least-most) of {turns_each} turns; all brought the same statuses. Ours has in it the WinRM "
            "conversation, and its CPU that of the node, which runs in the same process."
        )
        table(f"2. {count} hosts, {ROUND_TRIP * 1000:g} ms away", turns, note)
        dark = stack.enter_context(black_holes(hosts[len(there) :]))
        urls = [f"https://{host}:{port}/" for host in there]
        urls += [f"https://{host}:{dark}/" for host in hosts[len(there) :]]
        # The others take so long that one turn has to do; nothing needs to be warm.
        turns = {way: [measured(do)[0]] for way, do in ways(urls).items()}
        note = f"One turn. A connect is given up after {give_up:g} s, ours after {curl.CONNECT_SECONDS} s."
        table(f"3. The same with {holes} of the hosts black holes", turns, note)


def by_requests(urls: Sequence[str], authority: Path, give_up: float) -> dict[str, int]:
    """A loop of requests.get."""
    found = {}
    for url in urls:
        try:
            found[url] = requests.get(url, timeout=give_up, verify=str(authority), allow_redirects=False).status_code
        except requests.RequestException:
            found[url] = 0
    return found


def by_curl(urls: Sequence[str], authority: Path, give_up: float) -> dict[str, int]:
    """A shell script's way."""
    program = find_program("curl", "curl")
    options = ["-q", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(authority)]
    found = {}
    for url in urls:
        command = [program, *options, "--connect-timeout", str(give_up), url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        found[url] = int(done.stdout)
    return found


class Node:
    """A node whose curl.exe is this machine's curl, read over WinRM."""

    def __init__(self, lab: Lab) -> None:
        self._site = load_site(lab.site).site
        server = next(iter(lab.servers.values()))
        endpoint = Endpoint(host="127.0.0.1", port=server.http_port, https=False, certificate_name="127.0.0.1")
        self._source = WinrmSource(lab.credential, lambda _: endpoint)

    def reaches(self, urls: Sequence[str]) -> dict[str, int]:
        """The status of each URL as a run learns it."""
        query = Query(read=CurlQuery(urls=tuple(urls)), title="hosts", sureness=Sureness.KNOWN, basis="curl manual")
        collection = Collection(self._site, Phase.PRE_DEPLOY, {"outbound.hosts": query}, {}, load_packs().classes)
        kept: list[Observation] = []
        self._source.collect_node(self._site.nodes[0], collection, Deadline(300), kept.append)
        return {row["url"]: row["http_code"] for row in kept[0].value}


@contextmanager
def black_holes(hosts: Sequence[str]) -> Iterator[int]:
    """A port of these hosts at which connections stay unanswered: the queue of the listener is full."""
    with ExitStack() as stack:
        port = 0
        for host in hosts:
            listener = stack.enter_context(socket.socket())
            listener.bind((host, port))
            listener.listen(0)
            port = listener.getsockname()[1]
            for _ in range(4):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex((host, port))
        yield port


def main() -> int:
    """Run everything; the exit code."""
    parser = argparse.ArgumentParser(description="What checking DNS servers and outbound endpoints costs.")
    parser.add_argument("--quick", action="store_true", help="see whether it runs; the figures mean nothing")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way (%(default)s)")
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds is 1 at least")
    sys.stdout.write(f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}\n")
    if given.quick:
        sys.stdout.write("QUICK: few names and hosts, one round; the figures mean nothing.\n")
        names_of_zone(8, 1)
        endpoints(12, 2, 1, 1.0)
    else:
        names_of_zone(NAMES, given.rounds)
        endpoints(HOSTS, HOLES, given.rounds, GIVE_UP)
    return 0


if __name__ == "__main__":
    sys.exit(main())
