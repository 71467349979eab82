"""What every test stands on."""

import os

# One thread: two workers share two cores, and bits are compared.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples each time, so that a red run is the change's own fault; `make torture` looks for new ones.
settings.register_profile("exploring", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("exploring"), derandomize=True)
settings.load_profile("repeatable")


SLOW_FOLDERS = ("cli", "end_to_end", "study", "web")
"""Whose tests start processes, a browser or a server, or run the commands of the guides: `make quick` leaves them out.

A slow file elsewhere says so itself, by `pytestmark = pytest.mark.slow`: it starts processes, imports a framework, or
takes more than a second or two a test.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow by its folder."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.path.relative_to(here).parts[0] in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)
