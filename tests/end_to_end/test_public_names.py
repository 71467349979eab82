"""The interface is a decision: every public name is there, and lists of names are sorted."""

import importlib
import operator
import pkgutil
import subprocess
import sys

import pytest

import calando

MODULES = sorted(module.name for module in pkgutil.walk_packages(calando.__path__, "calando."))


def sorting(name: str) -> tuple[int, str]:
    """CONSTANTS, then Classes, then functions: the order ruff keeps."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def test_calandos_own_names_are_sorted_and_importable():
    assert calando.__all__ == sorted(calando.__all__)
    assert set(calando.__all__) <= set(dir(calando))
    for name in calando.__all__:
        found = getattr(calando, name)
        assert found.__module__.startswith("calando."), name
        assert found.__name__ == name
        assert found.__doc__, name


def test_schedules_are_there_without_an_import_of_their_own():
    command = "import calando, sys; assert 'numpy' not in sys.modules; print(calando.schedules.cosine(1, 0))"
    assert subprocess.run([sys.executable, "-c", command], capture_output=True, text=True).stdout == "cosine(1, 0)\n"


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'calando' has no attribute 'nope'"):
        operator.attrgetter("nope")(calando)


def test_names_of_every_module_are_sorted_and_there():
    """Every module but a floor's own empty __init__ says what it offers."""
    faults = {module: fault for module in MODULES if (fault := fault_of(module))}
    assert not faults


def fault_of(module: str) -> str:
    """What is wrong with what a module says that it offers; "" for nothing."""
    found = importlib.import_module(module)
    if not hasattr(found, "__all__"):
        public = [name for name, value in vars(found).items() if getattr(value, "__module__", None) == module]
        return "has no __all__" if any(not name.startswith("_") for name in public) else ""
    if found.__all__ != sorted(set(found.__all__), key=sorting):
        return "its __all__ is not sorted"
    lost = [name for name in found.__all__ if not hasattr(found, name)]
    return f"offers {', '.join(lost)}, which it has not" if lost else ""


def test_the_former_name_of_loops_gives_the_very_modules():
    import calando.integrations.torch_scheduler as former

    import calando.loops.torch_scheduler as present
    from calando.integrations import keras

    assert former is present
    assert keras is importlib.import_module("calando.loops.keras")
