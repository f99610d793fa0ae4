"""Makes the sample that ships with the package: `python -m servers.sample` in tests/, with the package installed.

A two-node site with local identity and the mistakes that people really make, collected for real from endpoints that
answer as its nodes would.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import azpreflight
from azpreflight import collect, load_site
from servers.lab import node_scenario, running_lab
from servers.outside import running_outside
from servers.winrm import Scenario

SAMPLE = Path(azpreflight.__file__).parent / "sample"
BLOCKED = "dp.stackhci.azure.com"
WHO = "azl-ops"


def first_node() -> Scenario:
    """Fine, but that everybody is trusted."""
    return node_scenario(1).patched({"config": {"Client": {"TrustedHosts": "*"}}})


def second_node() -> Scenario:
    """Took its address from DHCP, and nobody made the administrator on it."""

    def leased(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        origin = {"PrefixOrigin": 3, "SuffixOrigin": 3}
        return [{**row, **origin} if row.get("IPAddress") == "192.0.2.12" else row for row in rows]

    def with_dhcp(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "Dhcp": 1} if row["InterfaceAlias"] == "NIC1" else row for row in rows]

    def without_him(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in rows if WHO not in str(row)]

    return node_scenario(2).patched(
        {
            "cim": {
                "root/StandardCimv2": {"MSFT_NetIPAddress": leased, "MSFT_NetIPInterface": with_dhcp},
                "root/cimv2": {
                    "Win32_UserAccount": without_him,
                    "Win32_GroupUser": without_him,
                    "Win32_NetworkLoginProfile": without_him,
                },
            }
        }
    )


def make() -> None:
    """Collect the sample anew."""
    site = SAMPLE / "site.yaml"
    shutil.rmtree(SAMPLE / "recording", ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with running_outside(folder, site, without=["azl-cl01"]) as outside:
            nodes = {"AZL-N01": first_node(), "AZL-N02": second_node()}
            arguments = outside.curl_arguments(blocked=[BLOCKED])
            with running_lab(folder, nodes, curl_arguments=arguments, dns=outside.dns, user="Administrator") as lab:
                collect(load_site(site), SAMPLE / "recording", credential=lab.credential, connect_to=lab.connect_to)


if __name__ == "__main__":
    make()
