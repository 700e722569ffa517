"""Several processes that are one cluster: how it forms, serves, and outlives its parts."""

from ..harness.suite import Suite

suite = Suite("cluster")
