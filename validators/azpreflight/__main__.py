"""`python -m azpreflight`."""

from azpreflight.cli import main

main()
