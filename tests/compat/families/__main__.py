"""Runs the families alone: python -m tests.compat.families [--peer kafka] [NAME...]."""

from .main import main

main()
