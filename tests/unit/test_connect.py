"""`--connect-to`: where a declared host is reached, and which of its ports can be told of there."""

from __future__ import annotations

import pytest

from azpreflight.connect import Redirections
from azpreflight.errors import InputError

GIVEN = Redirections(["192.0.2.11=127.0.0.1:15985", "AZL-N02=127.0.0.2", "2001:db8::1=[::1]:2"])


@pytest.mark.parametrize(
    ("host", "port", "name", "reached"),
    [
        ("192.0.2.11", 5985, "", ("127.0.0.1", 15985)),
        ("192.0.2.12", 5985, "azl-n02", ("127.0.0.2", 5985)),
        ("2001:DB8::1", 53, "", ("::1", 2)),
        ("192.0.2.13", 53, "", ("192.0.2.13", 53)),
    ],
)
def test_a_redirection_leads_to_its_host_and_to_its_port_if_it_names_one(
    host: str, port: int, name: str, reached: tuple[str, int]
) -> None:
    assert GIVEN.reach(host, port, name=name) == reached


@pytest.mark.parametrize(
    ("host", "port", "name", "reached"),
    [
        ("192.0.2.11", 5985, "", ("127.0.0.1", 15985)),
        # Behind one port there is one port, and not the one of SMB.
        ("192.0.2.11", 445, "", None),
        ("192.0.2.12", 445, "AZL-N02", ("127.0.0.2", 445)),
        ("192.0.2.13", 445, "", ("192.0.2.13", 445)),
    ],
)
def test_a_redirection_to_one_port_tells_nothing_of_another(
    host: str, port: int, name: str, reached: tuple[str, int] | None
) -> None:
    assert GIVEN.tried_at(host, port, own=5985, name=name) == reached


def test_every_malformed_redirection_is_told() -> None:
    with pytest.raises(InputError) as caught:
        Redirections(["192.0.2.11", "=127.0.0.1", "a=b:0", "c=d", "C=e"])
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    "host", ["..", "a..b", f"{'x' * 64}.example", "a b", "http://a", "ops@a", "a\x1b[2J", "[a b]:1"]
)
def test_what_nobody_could_look_up_is_malformed(host: str) -> None:
    with pytest.raises(InputError, match="is not DECLARED=HOST"):
        Redirections([f"192.0.2.11={host}"])
