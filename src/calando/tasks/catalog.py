"""What can be trained on and with: names, defaults and one-line descriptions; needs no torch.

    data       digits | fashion-mnist | cifar10 | folder:PATH | parquet:PATH | npz:PATH | MODULE:CALLABLE
    networks   cnn | resnet{6n+2} | plain{6n+2} | wrn-{6n+4}-{width} | timm:NAME | torchvision:NAME | MODULE:CALLABLE

A name is checked here; whether the data lie on this machine, or a package is installed, is seen when it is used.
"""

from __future__ import annotations

import difflib
import importlib.util
import re
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from calando.errors import UnknownName, UsageError

__all__ = [
    "DATA",
    "DATA_FORMS",
    "NETWORKS",
    "OWN_NETWORK",
    "UNNAMED",
    "DataEntry",
    "check_data",
    "check_network",
    "data_entry",
    "is_callable_text",
    "is_standard",
    "network_depth",
    "no_reader",
]

UNNAMED = "custom"
"""The name of a workload of somebody's own who gave it none."""

OWN_NETWORK = "own"
"""The network's name where a MODULE:CALLABLE workload brings its own."""


@dataclass(frozen=True, kw_only=True)
class DataEntry:
    """A data set (or a form of naming one) and what is used where nothing else is asked for.

    Args:
        name: what the command line calls it.
        description: one line.
        model: network.
        batch_size: samples per update.
        augment: augmentation text.
        epochs: passes over the training part of one run of a comparison.
        validation_fraction: share of the training set that is held out.
    """

    name: str
    description: str
    model: str = "resnet8"
    batch_size: int = 64
    augment: str = "none"
    epochs: int = 10
    validation_fraction: float = 0.1


DATA = {
    entry.name: entry
    for entry in (
        DataEntry(
            name="digits",
            description="1,797 handwritten digits, 8x8 grey; embedded (scikit-learn)",
            model="cnn",
            epochs=10,
            validation_fraction=0.2,  # of 1,438: a tenth would be 143 images, all of which a good rate gets right
        ),
        DataEntry(
            name="fashion-mnist",
            description="70,000 articles of clothing, 28x28 grey (Zalando)",
            model="cnn",
            batch_size=128,
            augment="crop(2)+flip",
            epochs=5,
        ),
        DataEntry(
            name="cifar10",
            description="60,000 photographs, 32x32 colour, 10 classes",
            model="resnet8",
            batch_size=128,
            augment="crop(4)+flip",
            epochs=5,
        ),
    )
}

DATA_FORMS = {
    "folder": DataEntry(name="folder:PATH", description="images in one folder a class"),
    "parquet": DataEntry(name="parquet:PATH", description="an image data set of the Hugging Face hub"),
    "npz": DataEntry(name="npz:PATH", description="arrays x_train, y_train, x_test, y_test"),
    "callable": DataEntry(
        name="MODULE:CALLABLE", description="your own: a function that returns calando.workload(…)", model=OWN_NETWORK
    ),
}

NETWORKS = {
    "cnn": "two convolutions with batch norm, then a linear layer",
    "resnet8 … resnet110": "residual networks in the CIFAR form, depth 6n+2 (He et al., 2015)",
    "plain8 … plain110": "the same without shortcuts",
    "wrn-16-4, wrn-28-10 …": "wide residual networks, wrn-DEPTH-WIDTH, depth 6n+4; -drop0.3 adds dropout",
    "timm:NAME": "any network of timm, where it is installed",
    "torchvision:NAME": "any network of torchvision, where it is installed",
    "MODULE:CALLABLE": "your own: a class or function that returns a torch.nn.Module",
}

READERS = ("folder", "parquet", "npz")
_CALLABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_RESNET = re.compile(r"(?:resnet|plain)(\d{1,4})")
_WRN = re.compile(r"wrn-(\d{1,4})-(\d{1,3})(?:-drop(0?\.\d{1,6}))?")
_EXAMPLES = ("cnn", "resnet8", "resnet20", "resnet56", "resnet110", "plain8", "plain20", "wrn-16-4", "wrn-28-10")


def is_callable_text(text: str) -> bool:
    """Whether the text has the form MODULE:CALLABLE.

    >>> is_callable_text("my_project.tasks:workload"), is_callable_text("folder:photos")
    (True, False)
    """
    return text.partition(":")[0] not in {*DATA_FORMS, "timm", "torchvision"} and bool(_CALLABLE.fullmatch(text))


def data_entry(data: str) -> DataEntry:
    """The entry of a data text.

    >>> data_entry("digits").model
    'cnn'
    >>> data_entry("folder:photos").batch_size
    64

    Raises:
        UnknownName: no data set or form of that name.
        UsageError: a form without its path.
    """
    if data in DATA:
        return DATA[data]
    form, colon, rest = data.partition(":")
    if is_callable_text(data):
        return DATA_FORMS["callable"]
    if colon and form in DATA_FORMS and form != "callable":
        if not rest:
            raise UsageError(f"{data!r} names no path; write {DATA_FORMS[form].name}, e.g. {form}:data/flowers")
        return DATA_FORMS[form]
    hint = no_reader(form) if colon and rest else ""
    if hint and (near := difflib.get_close_matches(form, READERS, n=1)):
        hint += f"; did you mean {near[0]}:{rest}?"
    raise UnknownName("workload", data, [*DATA, *(entry.name for entry in DATA_FORMS.values())], hint=hint)


def no_reader(form: str) -> str:
    """What to say of a text whose form is none of ours.

    >>> no_reader("csv")
    "'csv' is not a reader; readers are folder:PATH, parquet:PATH, npz:PATH; or name your function as MODULE:CALLABLE"
    """
    readers = ", ".join(DATA_FORMS[reader].name for reader in READERS)
    return f"{form!r} is not a reader; readers are {readers}; or name your function as MODULE:CALLABLE"


def is_standard(module: str) -> bool:
    """Whether Python itself brings the module, so that its name was meant as a format.

    >>> is_standard("csv"), is_standard("my_project.csv")
    (True, False)
    """
    top = module.partition(".")[0]
    if top not in sys.stdlib_module_names:
        return False
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return True
    origin = spec.origin if spec is not None else None
    return origin in (None, "built-in", "frozen") or Path(origin).is_relative_to(sysconfig.get_path("stdlib"))


def check_data(data: str) -> str:
    """The same text, if it names data.

    Raises:
        UnknownName, UsageError: as `data_entry`.
    """
    data_entry(data)
    return data


def network_depth(name: str) -> int | None:
    """Number n of blocks per stage in "resnet{6n+2}", "plain{6n+2}" or "wrn-{6n+4}-K"; None for other names.

    >>> network_depth("resnet20"), network_depth("wrn-28-10"), network_depth("cnn")
    (3, 4, None)

    Raises:
        UsageError: a depth that is not of that form; the message says the nearest ones.
    """
    if found := _RESNET.fullmatch(name):
        return _blocks(name, int(found[1]), 2)
    if found := _WRN.fullmatch(name):
        if int(found[2]) < 1:
            raise UsageError(f"network {name!r}: the width must be at least 1, e.g. wrn-16-4")
        return _blocks(name, int(found[1]), 4)
    return None


def _blocks(name: str, depth: int, rest: int) -> int:
    n, left = divmod(depth - rest, 6)
    if left or n < 1:
        below, above = 6 * max(n, 1) + rest, 6 * max(n + 1, 1) + rest
        near = f"{below}" if below == above else f"{below} or {above}"
        raise UsageError(f"network {name!r}: the depth must be 6n+{rest} with n >= 1; the nearest is {near}")
    return n


def check_network(name: str) -> str:
    """The same text, if it names a network. Whether timm, torchvision or your module holds it is seen when it is built.

    >>> check_network("resnet20")
    'resnet20'

    Raises:
        UnknownName: no network of that name; lists the patterns.
        UsageError: a depth that does not exist, or a form without a name.
    """
    form, colon, rest = name.partition(":")
    if colon and form in {"timm", "torchvision"}:
        if not rest:
            raise UsageError(f"{name!r} names no network; write {form}:NAME, e.g. {form}:resnet18")
        return name
    if name == "cnn" or is_callable_text(name) or network_depth(name) is not None:
        return name
    patterns = [pattern for pattern in NETWORKS if pattern != "cnn"]
    raise UnknownName("network", name, _EXAMPLES, hint=f"patterns: {'; '.join(patterns)}")
