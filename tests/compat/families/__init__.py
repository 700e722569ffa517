"""One scenario set for seven client families; see README.md."""

from . import main  # noqa: F401  (registers the scenarios)
