"""Networks of other packages, where they are installed: timm:NAME, torchvision:NAME; random weights."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from torch import nn

from calando.errors import UnknownName, UsageError

__all__ = ["foreign"]

_RGB = 3


def foreign(package: str, name: str, *, in_channels: int, classes: int) -> nn.Module:
    """Build a network of timm or torchvision.

    Args:
        package: "timm" or "torchvision".
        name: as that package calls it.
        in_channels: of the images; torchvision's networks take 3 only.
        classes: number of outputs.

    Raises:
        UsageError: the package is not installed, or the network does not take such images.
        UnknownName: it holds no such network.
    """
    return _timm(name, in_channels, classes) if package == "timm" else _torchvision(name, in_channels, classes)


def _timm(name: str, in_channels: int, classes: int) -> nn.Module:
    timm = _imported("timm")
    if not timm.is_model(name):
        raise UnknownName("timm network", name, _near(name, timm.list_models()), hint="timm.list_models() lists all")
    return _built(timm.create_model(name, pretrained=False, num_classes=classes, in_chans=in_channels))


def _torchvision(name: str, in_channels: int, classes: int) -> nn.Module:
    models = _imported("torchvision").models
    if name not in models.list_models():
        raise UnknownName(
            "torchvision network",
            name,
            _near(name, models.list_models()),
            hint="torchvision.models.list_models() lists all",
        )
    if in_channels != _RGB:
        raise UsageError(
            f"network 'torchvision:{name}' takes images of {_RGB} channels, these have {in_channels}; try timm:{name}"
        )
    return _built(models.get_model(name, weights=None, num_classes=classes))


def _imported(package: str) -> ModuleType:
    if importlib.util.find_spec(package) is None:
        raise UsageError(
            f"networks '{package}:NAME' need {package}, which is not installed; run: pip install {package}"
        )
    return importlib.import_module(package)


def _near(name: str, choices: list[str]) -> list[str]:
    """The names that share most letters: a thousand choices are no help in one line."""
    import difflib

    return difflib.get_close_matches(name, choices, n=8, cutoff=0.3) or sorted(choices)[:8]


def _built(net: object) -> nn.Module:
    assert isinstance(net, nn.Module)
    return net
