"""Facts from reading methods: one row for each call, its outputs beside the keys of the instance."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

from azpreflight.facts.classes import ClassTable
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import MethodQuery
from azpreflight.facts.winrm.cim import Sender, invoke
from azpreflight.facts.winrm.decode import Decoder
from azpreflight.model import Value

SUCCESS = ("0", "")
"""What ReturnValue is when all went well; static methods of CDXML classes leave it out."""


def rows(
    sender: Sender, table: ClassTable, query: MethodQuery, observations: Mapping[str, Observation], deadline: Deadline
) -> list[Value]:
    """The outputs of every call.

    Raises:
        WireError: a call failed, or the fact that names the instances was not observed.
    """
    decoder = Decoder(table, query.namespace, query.class_, None)
    body = "".join(f"<m:{name}>{escape(str(value))}</m:{name}>" for name, value in query.arguments.items())
    found: list[Value] = []
    for keys in _instances(query, observations):
        output = invoke(sender, query.namespace, query.class_, query.method, body, deadline, selectors=keys)
        row = decoder.outputs(output)
        code = str(row.pop("ReturnValue", ""))
        if code not in SUCCESS:
            raise WireError(Status.FAILED, f"{query.class_}.{query.method} returned {code}")
        found.append({**keys, **row})
    return found


def _instances(query: MethodQuery, observations: Mapping[str, Observation]) -> list[dict[str, str]]:
    """The keys of each instance; one empty set for a static method."""
    if not query.keys:
        return [{}]
    sources = {value.fact for value in query.keys.values()}
    instances: list[dict[str, str]] = []
    for fact in sorted(sources):
        observation = observations.get(fact)
        if observation is None or observation.status is not Status.OBSERVED:
            status = observation.status if observation is not None else Status.NOT_ASKED
            reason = observation.reason if observation is not None else "it was not asked"
            raise WireError(status, f"needs {fact}: {reason}")
        instances += [
            {name: str(row.get(value.property) or "") for name, value in query.keys.items()}
            for row in observation.value
        ]
    return instances
