"""Strict reading of YAML and JSON documents into typed records: sites, packs, queries, recordings.

Whatever is wrong with a document ends as `InputError`, with every mistake of a reading named at its place. No message
quotes a document's text around a mistake, because there may be a secret in it.
"""

from azpreflight.documents.conversion import convert, faults
from azpreflight.documents.document import DEEPEST, Document, Mark, Place, json_path
from azpreflight.documents.json import read_json
from azpreflight.documents.text import MOST_BYTES, read_bytes, usable
from azpreflight.documents.values import Fault, accepted_by
from azpreflight.documents.yaml import read_yaml

__all__ = [
    "DEEPEST",
    "MOST_BYTES",
    "Document",
    "Fault",
    "Mark",
    "Place",
    "accepted_by",
    "convert",
    "faults",
    "json_path",
    "read_bytes",
    "read_json",
    "read_yaml",
    "usable",
]
