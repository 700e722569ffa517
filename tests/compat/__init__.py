"""Scenarios with real clients, the same against our broker and against Apache Kafka."""

from ..harness.suite import Suite

suite = Suite("compat")
