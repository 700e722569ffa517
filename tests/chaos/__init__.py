"""Real processes, faults, and a checker that counts."""

from ..harness.suite import Suite

suite = Suite("chaos")
