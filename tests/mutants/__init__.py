"""Planted bugs: the tests have to catch each of them."""
