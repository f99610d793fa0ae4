"""The contract of the JSON report: its name, and its schema, generated from the types."""

from __future__ import annotations

from typing import Any

import msgspec

from azpreflight.model import Report

SCHEMA = "azpreflight/report/1"


def report_schema() -> dict[str, Any]:
    """The JSON schema (2020-12) that every report validates against."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        "title": "azpreflight report",
        **msgspec.json.schema(Report),
    }
