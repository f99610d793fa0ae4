"""Packs: rules, queries and tables as data; how they are found, read and held to account."""
