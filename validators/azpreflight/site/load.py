"""Finds out what kind of file the user named as the site, and reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from azpreflight.documents import Document, read_bytes, read_json
from azpreflight.errors import InputError
from azpreflight.model import Problem, SiteInfo
from azpreflight.site import arm, yaml
from azpreflight.site.model import LoadedSite, Site

_ACCEPTED = (
    "a site file (site.yaml), an ARM deployment parameter file of Azure Local, "
    "or a deploymentSettings resource as Azure shows it"
)
# Byte order marks, and the zero bytes of UTF-16.
_BEFORE_TEXT = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"
_MOST_BYTES = 1024 * 1024


def load_site(path: str | Path) -> LoadedSite:
    """The site that a file declares. What the file is, is told from its content; raises `InputError`."""
    name = _printable(str(path))
    content = read_bytes(path, most=_MOST_BYTES)
    if not content.strip(_BEFORE_TEXT):
        raise _refused("empty", "is empty; `azpreflight init` writes a site file to fill in", name)
    if Path(path).suffix.lower() == ".bicepparam":
        message = "is Bicep; make an ARM parameter file of it with `az bicep build-params` and name that"
        raise _refused("not-a-site", message, name)
    document = _json(content, name, Path(path).suffix.lower())
    form = "yaml"
    if document is None:
        site, problems = yaml.read(content, name)
    elif _is_site(document):
        site, problems = yaml.site_in(document)
    else:
        form = "arm"
        site, problems = _arm(document, Path(name))
    info = SiteInfo(
        name=site.name,
        profile=site.profile,
        cluster=site.cluster.name,
        nodes=tuple(node.name for node in site.nodes),
        format=form,
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return LoadedSite(site=site, info=info, problems=problems)


def _json(content: bytes, name: str, suffix: str) -> Document | None:
    """The content as JSON, or None when it is YAML."""
    if content.lstrip(_BEFORE_TEXT)[:1] not in {b"{", b"["}:
        return None
    try:
        # Azure tells parameters apart without regard to letter case, so two that differ only in it are one.
        return read_json(content, name, fold_keys=True)
    except InputError:
        if suffix in {".yaml", ".yml"}:
            return None
        raise


def _is_site(document: Document) -> bool:
    # A site written as JSON is held to the same rules.
    return isinstance(document.data, Mapping) and bool({"profile", "nodes"} & document.data.keys())


def _arm(document: Document, path: Path) -> tuple[Site, tuple[Problem, ...]]:
    read = arm.read(document, otherwise_named=path.name.split(".")[0] or path.name)
    if read is None:
        raise _refused(
            "not-a-site", f"is JSON, but none that declares a site; azpreflight reads {_ACCEPTED}", str(path)
        )
    return read


def _printable(path: str) -> str:
    """A path that can be written into a report: what is no text in a file name is escaped."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _refused(code: str, message: str, where: str) -> InputError:
    return InputError(Problem(code=code, message=message, where=where))
