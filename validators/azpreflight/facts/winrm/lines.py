"""The command lines of a query: one, or one for each combination of declared values in its arguments."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import msgspec

from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.query import FromFact, ProgramQuery, Query, RegistryQuery
from azpreflight.facts.winrm.programs import line_of
from azpreflight.site.model import Node, Site
from azpreflight.site.references import resolve

MOST_LINES = 64
"""Lines of one query: servers and names of a site are few."""


class Line(NamedTuple):
    """One command line. values: of the placeholders in its arguments, by name."""

    values: dict[str, str]
    text: str


def lines_of(query: Query, read: RegistryQuery | ProgramQuery, site: Site, node: Node) -> list[Line]:
    """The command lines that answer a query.

    Raises:
        WireError: a value is not declared or cannot be part of a command line, or there are too many. Nothing is asked.
    """
    if isinstance(read, RegistryQuery) or not query.bind:
        return [Line({}, line_of(read))]
    choices: list[tuple[str, ...]] = []
    for bound in query.bind.values():
        texts = () if isinstance(bound, FromFact) else resolve(bound, site, node)
        if not texts:
            raise WireError(Status.NOT_ASKED, f"the site does not declare {bound}")
        choices.append(texts)
    if math.prod(map(len, choices)) > MOST_LINES:
        raise WireError(Status.NOT_ASKED, f"the declared values make more than {MOST_LINES} command lines")
    lines: list[Line] = []
    for combination in itertools.product(*choices):
        values = dict(zip(query.bind, combination, strict=True))
        filled = msgspec.structs.replace(read, arguments=read.arguments.format_map(values))
        try:
            lines.append(Line(values, line_of(filled)))
        except ValueError as error:
            # The fixed list decides, whatever a site declares.
            raise WireError(Status.NOT_ASKED, f"what the site declares fits no command line: {error}") from error
    return lines
