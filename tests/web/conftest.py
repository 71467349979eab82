"""What tests of the page share."""

import math

import pytest


@pytest.fixture(autouse=True)
def _whole_lists(monkeypatch):
    """A list of places has all its states, however long that takes; otherwise what takes longer is filled in later."""
    monkeypatch.setattr("calando.web.places.LIST_SECONDS", math.inf)
