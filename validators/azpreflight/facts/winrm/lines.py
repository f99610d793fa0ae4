"""The command lines of a query: one, or one for each combination of declared values in its arguments."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from azpreflight.facts.bindings import combinations
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.query import ProgramQuery, Query, RegistryQuery
from azpreflight.facts.winrm.programs import line_of
from azpreflight.site.model import Node, Site

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
    # Nothing has been observed yet that a line could rest on: values are those of the site alone.
    choices = combinations(query, site, node, {})
    if len(choices) > MOST_LINES:
        raise WireError(Status.NOT_ASKED, f"the declared values make more than {MOST_LINES} command lines")
    lines: list[Line] = []
    for values in choices:
        filled = msgspec.structs.replace(read, arguments=read.arguments.format_map(values))
        try:
            lines.append(Line(values, line_of(filled)))
        except ValueError as error:
            # The fixed list decides, whatever a site declares.
            raise WireError(Status.NOT_ASKED, f"what the site declares fits no command line: {error}") from error
    return lines
