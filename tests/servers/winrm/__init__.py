"""A WinRM endpoint for tests: WS-Management over HTTP as a Windows node speaks it, on loopback, from a scenario."""

from .faults import Code, Fault, Shape
from .log import Record, RequestLog, ShellRecord
from .misbehaviour import Misbehaviour
from .scenario import DELETE, Scenario, load_scenario
from .server import WinRMServer

__all__ = [
    "DELETE",
    "Code",
    "Fault",
    "Misbehaviour",
    "Record",
    "RequestLog",
    "Scenario",
    "Shape",
    "ShellRecord",
    "WinRMServer",
    "load_scenario",
]
