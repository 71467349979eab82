"""Networks of other packages, where they are installed: timm:NAME, torchvision:NAME; random weights."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from calando.errors import UnknownName, UsageError
from calando.language import message
from calando.tasks.nets import Build, NetworkEntry

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ENTRIES"]

_RGB = 3


def _timm(name: str, *, in_channels: int, classes: int) -> nn.Module:
    timm = _imported("timm")
    if not timm.is_model(name):
        raise _unknown("timm", name, timm.list_models(), message("timm.list_models() lists all"))
    net: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, in_chans=in_channels)
    return net


def _torchvision(name: str, *, in_channels: int, classes: int) -> nn.Module:
    models = _imported("torchvision").models
    if name not in models.list_models():
        raise _unknown("torchvision", name, models.list_models(), message("torchvision.models.list_models() lists all"))
    if in_channels != _RGB:
        raise UsageError(
            message(
                "network 'torchvision:{name}' takes images of {wanted} channels, these have {count}; try timm:{name}",
                name=name,
                wanted=_RGB,
                count=in_channels,
            )
        )
    net: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return net


def _imported(package: str) -> Any:
    if importlib.util.find_spec(package) is None:
        raise UsageError(
            message(
                "networks '{package}:NAME' need {package}, which is not installed; run: pip install {package}",
                package=package,
            )
        )
    return importlib.import_module(package)


def _unknown(package: str, name: str, known: list[str], hint: str) -> UnknownName:
    # those that share most letters: a thousand choices are no help in one line
    near = difflib.get_close_matches(name, known, n=8, cutoff=0.3) or sorted(known)[:8]
    return UnknownName(message("{package} network", package=package), name, near, hint=hint)


def _entry(package: str, build: Callable[..., nn.Module]) -> NetworkEntry:
    def read(text: str) -> Build | None:
        form, colon, name = text.partition(":")
        if form != package or not colon:
            return None
        if not name:
            raise UsageError(
                message("{text!r} names no network; write {form}:NAME, e.g. {form}:resnet18", text=text, form=form)
            )
        return partial(build, name)

    described = f"any network of {package}, where it is installed"
    return NetworkEntry(names=f"{package}:NAME", description=described, read=read)


ENTRIES = (_entry("timm", _timm), _entry("torchvision", _torchvision))
