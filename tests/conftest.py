"""What every test stands on."""

import functools
import gc
import os

# One thread: two workers share two cores, and bits are compared.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A run that takes all cores waits for its threads asleep: spinning, they keep each other and the other worker's tests
# from the cores, and a run takes ten times as long. No bit depends on it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# A machine whose locale is Chinese passes the same tests: what they look for is English.
os.environ["CALANDO_LANG"] = "en"

import pickle
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

from calando.host import lock

T = TypeVar("T")

# What imports and collection make, over a million objects, stays to the end: while it grows, and again and again later,
# the collector would go through all of it for nothing. It starts with the tests, and leaves alone what was there.
gc.disable()

# The same examples each time, so that a red run is the change's own fault; `make torture` looks for new ones.
settings.register_profile("exploring", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("exploring"), derandomize=True, max_examples=60)
settings.load_profile("repeatable")


HERE = Path(__file__).parent
SLOW = (
    "analysis/test_borrowed.py",
    "analysis/test_calibration.py",
    "analysis/test_siblings.py",
    "cli",
    "controllers/test_rollback.py",
    "end_to_end",
    "loops/test_as_optax.py",
    "loops/test_follow_state.py",
    "loops/test_from_torch.py",
    "loops/test_frameworks.py",
    "loops/test_groups_by_themselves.py",
    "loops/test_in_accelerate.py",
    "loops/test_in_ignite.py",
    "loops/test_in_lightning.py",
    "loops/test_in_transformers.py",
    "loops/test_launchers.py",
    "loops/test_log_readers.py",
    "loops/test_other_writers.py",
    "loops/test_torch_scheduler_resume.py",
    "loops/test_tracker_packages.py",
    "loops/test_trackers.py",
    "methods/test_methods_conformance.py",
    "methods/test_parity_rate_free.py",
    "oracles",
    "records/test_foreign_store.py",
    "report",
    "schedules/test_hostile_texts.py",
    "schedules/test_presets.py",
    "study",
    "tasks",
    "testing/test_registering.py",
    "training/test_find_lr.py",
    "training/test_find_lr_restores.py",
    "training/test_restore.py",
    "training/test_restore_reach.py",
    "training/test_restore_running.py",
    "training/test_range_test.py",
    "training/test_threads.py",
    "training/test_unequal_classes.py",
    "web",
)
"""What `make quick` leaves out, and does not even import: what starts processes, a browser or a server, imports
frameworks, runs the commands of the guides, or takes seconds a test. A single slow test says so itself:
`@pytest.mark.slow`.
"""

if lost := [name for name in SLOW if not (HERE / name).exists()]:
    raise pytest.UsageError(f"tests/conftest.py calls {', '.join(lost)} slow, which is not there; change the list")


@functools.cache  # thousands of tests are asked for, in hundreds of files
def _is_slow(path: Path) -> bool:
    return any(path.is_relative_to(HERE / name) for name in SLOW)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import nothing that is not run."""
    return True if "not slow" in config.option.markexpr and _is_slow(collection_path) else None


def pytest_collection_finish() -> None:
    """From here on there is garbage."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what the list holds."""
    for item in items:
        if _is_slow(item.path):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def _without_pages() -> Iterator[object]:
    """A page takes seconds to draw, and few tests of studies look at it: those name the fixture `pages`."""
    from calando.verbs import compare

    draws = compare._with_page
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calando.verbs.compare._with_page", lambda answer, page, progress: answer)
        yield draws


@pytest.fixture
def pages(_without_pages, monkeypatch) -> None:
    """The studies of this test write their pages."""
    monkeypatch.setattr("calando.verbs.compare._with_page", _without_pages)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], T]], T]:
    """What takes long to make, made by the first of the processes that run the tests; the others wait and read it.

    Called with a name and a function that fills the folder it gets and returns a value that can be pickled; nobody
    changes the folder afterwards.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def value_of(name: str, make: Callable[[Path], T]) -> T:
        folder, kept = shared / name, shared / f"{name}.pickle"
        with (shared / f"{name}.lock").open("w") as file:
            while not lock(file):
                time.sleep(0.1)
            if not kept.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                kept.write_bytes(pickle.dumps(make(folder)))
            found: T = pickle.loads(kept.read_bytes())
        return found

    return value_of


@pytest.fixture
def machine(monkeypatch):
    """A machine with these variables, and no others that say a language."""

    def of(**variables: str) -> None:
        for name in ("CALANDO_LANG", "LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return of
