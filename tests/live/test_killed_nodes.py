"""The power fails in the middle of a collection: what was finished is kept, and the run comes to its end."""

from __future__ import annotations

import random
import threading
import time

import pytest

from azpreflight import Credential
from azpreflight.engine.gather import Limits, gather
from azpreflight.facts.collection import Collection, with_dependencies
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm.channel import Endpoint
from azpreflight.facts.winrm.source import WinrmSource
from azpreflight.model import Phase
from azpreflight.packs.load import load_packs
from azpreflight.site import Node, load_site
from servers.farm import Farm
from servers.lab import PASSWORD, SITE, USER

NODES = 64
FACTS = ("accounts.users", "net.ip_addresses", "system.computer", "system.version", "winrm.authentication")
PACKS = load_packs(["windows"])


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    path = tmp_path_factory.mktemp("site") / "site.yaml"
    lines = [f"  - {{name: AZL-N{n:02}, address: 192.0.2.{n + 100}}}" for n in range(NODES)]
    path.write_text(SITE % {"nodes": "\n".join(lines)})
    queries = with_dependencies(FACTS, PACKS.queries)
    return Collection(load_site(path).site, Phase.PRE_DEPLOY, queries, {}, PACKS.classes)


@pytest.mark.parametrize("seed", range(20))
def test_no_finished_node_is_lost_and_nothing_hangs(
    collection: Collection, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    moment = random.Random(seed).uniform(0.05, 2.0)
    finished: set[str] = set()
    killed = threading.Event()

    def progress(target: str, done: bool) -> None:
        if done and not killed.is_set():
            finished.add(target)

    with Farm(NODES) as farm:
        ports = dict(zip((node.name for node in collection.site.nodes), farm.ports, strict=True))

        def endpoint_of(node: Node) -> Endpoint:
            return Endpoint("127.0.0.1", ports[node.name], https=False, certificate_name=node.address)

        def power_cut() -> None:
            time.sleep(moment)
            killed.set()
            farm.kill()

        threading.Thread(target=power_cut, daemon=True).start()
        source = WinrmSource(Credential(USER, PASSWORD), endpoint_of)
        started = time.monotonic()
        facts = gather(collection, source, (), Limits(jobs=16, node_seconds=20), progress)
        assert time.monotonic() - started < 30
    for node in collection.site.nodes:
        found = {name: facts[node.name, name] for name in collection.queries}
        if node.name in finished:
            assert {o.status for o in found.values()} == {Status.OBSERVED}, node.name
        else:
            assert all(o.value is not None or o.reason for o in found.values())
    told = capfd.readouterr()
    assert "Traceback" not in told.err + told.out
