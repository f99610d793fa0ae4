"""The site as `site.yaml`: small, typed, strict."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from azpreflight.documents import Document, Place, convert, read_yaml
from azpreflight.errors import InputError
from azpreflight.model import Problem
from azpreflight.site.consistency import contradictions, duplicates, strangers
from azpreflight.site.model import Site

_CREDENTIAL = re.compile(
    r"pass|passw.*|.*passw(or)?d|passphrase|.*pwd|.*secret|.*credentials?|.*token|.*(api|private)key"
)


def read(text: bytes, name: str) -> tuple[Site, tuple[Problem, ...]]:
    """The site in `text`, and what is odd about it; raises `InputError` with everything that is wrong."""
    return site_in(read_yaml(text, name))


def site_in(document: Document) -> tuple[Site, tuple[Problem, ...]]:
    """The site in a document, and what is odd about it; raises `InputError` with everything that is wrong."""
    if document.data is None:
        message = "declares nothing; `azpreflight init` writes a site file to fill in"
        raise InputError(Problem(code="empty", message=message, where=document.name))
    if found := list(_credentials(document, document.data, ())):
        raise InputError(*found)
    site = convert(document, Site)
    if found := [*duplicates(site, document.where), *strangers(site, document.where)]:
        raise InputError(*found)
    return site, tuple(contradictions(site, document.where))


def _credentials(document: Document, data: Any, place: Place) -> Iterator[Problem]:
    """Credentials that somebody wrote into the site file. They are named, never shown."""
    if isinstance(data, dict):
        for key, value in data.items():
            here = (*place, key)
            # `{password:x}` without a blank is one key, and its name is only what stands before the colon.
            named = re.split("[:=]", key, maxsplit=1)[0]
            if _CREDENTIAL.fullmatch(re.sub(r"[-_ ]", "", named).casefold()):
                message = (
                    f"{named!r}: a site file holds no credential; it is asked for, or comes from the environment, "
                    "--password-file or --password-stdin"
                )
                yield Problem(code="credential", message=message, where=document.where(here if named == key else place))
            elif place == ("proxy",) and isinstance(value, str) and "@" in value:
                message = f"proxy.{key}: a site file holds no credential; write the proxy without user and password"
                yield Problem(code="credential", message=message, where=document.where(here))
            else:
                yield from _credentials(document, value, here)
    elif isinstance(data, list):
        for at, item in enumerate(data):
            yield from _credentials(document, item, (*place, at))
