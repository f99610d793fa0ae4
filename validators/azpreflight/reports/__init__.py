"""Outputs. Each draws a report; none decides anything."""
