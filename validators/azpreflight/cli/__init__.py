"""The command line: `azpreflight demo | plan | init | run | collect | rules`."""

from azpreflight.cli.main import main

__all__ = ["main"]
