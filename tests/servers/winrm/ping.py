"""Win32_PingStatus: a class without stored instances, whose WHERE clause says what to ping."""

import ipaddress
from collections.abc import Mapping

from .cim import Instance
from .classes import CimClass
from .wql import InvalidQueryError, Query

TIMED_OUT = 11010
HOST_NOT_FOUND = 11001

_DEFAULTS: Mapping[str, int | bool | str] = {
    "BufferSize": 32,
    "NoFragmentation": False,
    "RecordRoute": 0,
    "ResolveAddressNames": False,
    "SourceRoute": "",
    "SourceRouteType": 0,
    "Timeout": 4000,
    "TimestampRoute": 0,
    "TimeToLive": 80,
    "TypeofService": 0,
}


def ping(cls: CimClass, query: Query, answers: Mapping[str, object]) -> list[Instance]:
    """One row per address of the query, in its order."""
    addresses: list[str] = []
    settings = {name.lower(): value for name, value in _DEFAULTS.items()}
    for comparison in query.comparisons():
        name = comparison.name.lower()
        if name == "address" and comparison.operator == "=" and isinstance(comparison.constant, str):
            if comparison.constant not in addresses:
                addresses.append(comparison.constant)
        elif name in settings and comparison.operator == "=" and isinstance(comparison.constant, (int, str)):
            settings[name] = comparison.constant
    if not addresses:
        raise InvalidQueryError("Win32_PingStatus needs an Address in its WHERE clause")
    return [_row(cls, address, settings, answers) for address in addresses]


def _row(
    cls: CimClass,
    address: str,
    settings: Mapping[str, int | bool | str],
    answers: Mapping[str, object],
) -> Instance:
    status, resolved = _answer(address, answers)
    values: dict[str, str | int | float | bool | None] = {"address": address, **settings, "statuscode": status}
    if status is None:
        values |= {"primaryaddressresolutionstatus": HOST_NOT_FOUND, "protocoladdress": ""}
    else:
        values |= {"primaryaddressresolutionstatus": 0, "protocoladdress": resolved}
    if status == 0:
        values |= {"responsetime": 1, "responsetimetolive": 128, "replysize": settings["buffersize"]}
        values["replyinconsistency"] = False
    return Instance(cls, values)


def _answer(address: str, answers: Mapping[str, object]) -> tuple[int | None, str]:
    known = {key.lower(): value for key, value in answers.items()}
    if address.lower() in known:
        answer = known[address.lower()]
        if isinstance(answer, Mapping):
            return answer.get("status"), str(answer.get("address", address))
        assert answer is None or isinstance(answer, int), "the scenario checks this"
        return answer, address
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return None, ""
    return TIMED_OUT, address
