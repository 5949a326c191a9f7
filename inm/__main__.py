"""``python -m inm``."""

from inm.cli import main

main()
