"""A network's name -> a factory that builds it, a frozen value; the caller seeds torch's generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import Parameter, signature
from typing import cast

import torch
from torch import nn

from calando.errors import UsageError, reason_of, unless_it_fails
from calando.language import message
from calando.tasks.catalog import find_network
from calando.tasks.nets import Build
from calando.tasks.objective import logits_of
from calando.tasks.randomness import holding_generators
from calando.tasks.run_copies import copied_alone
from calando.tasks.user_code import call_user, import_callable

__all__ = ["NetworkFactory", "check_network_fits", "network_factory"]

_WANTED = {
    "in_channels": message("images"),
    "image_size": message("images"),
    "classes": message("classes, or targets of one width"),
    "inputs": message("inputs of one shape"),
}


@dataclass(frozen=True)
class NetworkFactory:
    """Builds the network of a name, or the user's own.

    >>> NetworkFactory("resnet8", in_channels=3, classes=10, image_size=(32, 32))().__class__.__name__
    'Sequential'
    >>> NetworkFactory("mine", 1, 10, (2, 2), own=lambda classes: nn.Linear(4, classes))().out_features
    10

    Args:
        name: as `catalog.NETWORKS` lists them; any, where `own` is given.
        in_channels: of the images; None where samples are no images.
        classes: number of outputs: of classes, or of numbers that a target has; None where neither is known.
        image_size: (height, width).
        own: a class or function, which gets those of classes=, in_channels=, image_size=, inputs= that it names.
        inputs: shape of one sample's input, where that is one tensor.
    """

    name: str
    in_channels: int | None
    classes: int | None
    image_size: tuple[int, int] | None
    own: Callable[..., object] | None = None
    inputs: tuple[int, ...] | None = None

    def __call__(self) -> nn.Module:
        """A new network with random weights.

        Raises:
            UnknownName: no network of that name.
            UsageError: its package is missing, it does not take such images, or the user's own code failed.
        """
        facts = {
            "classes": self.classes,
            "in_channels": self.in_channels,
            "image_size": self.image_size,
            "inputs": self.inputs,
        }
        offered: dict[str, object] = {name: value for name, value in facts.items() if value is not None}
        own = self.own
        if own is None:
            if (build := find_network(self.name)) is not None:
                return build(**self._named_by(build, offered))
            own = import_callable(self.name)
        net = call_user(own, name=message("network {name!r}", name=self.name), offered=offered)
        if not isinstance(net, nn.Module):
            raise UsageError(
                message(
                    "network {name!r} must return a torch.nn.Module, got {kind}",
                    name=self.name,
                    kind=type(net).__name__,
                )
            )
        return net

    def _named_by(self, build: Build, offered: dict[str, object]) -> dict[str, object]:
        """What a network of ours wants to know of the samples; UsageError where these do not have it."""
        wanted = {
            name: one.default is Parameter.empty
            for name, one in signature(build).parameters.items()
            if name in _WANTED and one.kind is Parameter.KEYWORD_ONLY
        }
        if missing := [name for name, needed in wanted.items() if needed and name not in offered]:
            raise UsageError(
                message(
                    "network {name!r} needs {wanted}, which these samples do not have; give model= a network "
                    "that fits them, or a class or function that builds one",
                    name=self.name,
                    wanted=_WANTED[missing[0]],
                )
            )
        return {name: offered[name] for name in wanted if name in offered}

    def fresh(self) -> NetworkFactory:
        """One with a copy of `own`, where that can be copied."""
        return self if self.own is None else replace(self, own=cast("Callable[..., object]", copied_alone(self.own)))


def network_factory(
    model: str | Callable[..., object],
    *,
    in_channels: int | None = None,
    classes: int | None = None,
    image_size: tuple[int, int] | None = None,
    inputs: tuple[int, ...] | None = None,
) -> NetworkFactory:
    """The factory of a network's name, or of a class or function that builds one.

    Raises:
        UnknownName: no network of that name.
        UsageError: an instance instead of a class.
    """
    if isinstance(model, torch.nn.Module) or not (isinstance(model, str) or callable(model)):
        kind = type(model).__name__
        raise UsageError(
            message(
                "model must be a name, or a class or function that builds a new network for each run, got an "
                "instance of {kind}; write model={name}, or model=lambda: {name}(…)"
                if isinstance(model, torch.nn.Module)
                else "model must be a name, or a class or function that builds a new network for each run, got an "
                "object of type {kind}",
                kind=kind,
                name=f"torch.nn.{kind}" if type(model).__module__.startswith("torch.nn.") else kind,
            )
        )
    own = None if isinstance(model, str) else model
    name = model if isinstance(model, str) else getattr(model, "__qualname__", type(model).__name__)
    return NetworkFactory(name, in_channels, classes, image_size, own, inputs)


def check_network_fits(factory: NetworkFactory) -> torch.Tensor:
    """Build the network once and show it two images; the factory is copied, the generators are put back.

    Returns:
        What it gives, [2, classes].

    Raises:
        UsageError: it cannot be built, does not take such images, has no weights, or its output is not [N, classes].
    """
    assert factory.image_size is not None
    assert factory.in_channels is not None
    (height, width), in_channels, classes = factory.image_size, factory.in_channels, factory.classes
    seen = message("images of {channels}x{height}x{width}", channels=in_channels, height=height, width=width)
    with holding_generators(), torch.no_grad():
        # Of a copy: a factory of the user's that counts its calls must not be one call ahead in every run.
        net = factory.fresh()().eval()
        if not any(parameter.requires_grad for parameter in net.parameters()):
            raise UsageError(message("network {name!r} has no weights to train", name=factory.name))
        try:
            output: torch.Tensor = net(torch.zeros(2, in_channels, height, width))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the network may be the user's own, which may raise anything
            raise UsageError(
                message(
                    "network {name!r} does not take {seen}: {reason}",
                    name=factory.name,
                    seen=seen,
                    reason=reason_of(error),
                )
            ) from error
    scores = unless_it_fails(lambda: logits_of(output))
    if scores is None or tuple(scores.shape) != (2, classes):
        got = type(output).__name__ if scores is None else tuple(scores.shape)
        raise UsageError(
            message(
                "network {name!r} must give [N, {classes}] scores for {seen}, got {got} for N = 2",
                name=factory.name,
                classes=classes,
                seen=seen,
                got=got,
            )
        )
    return output
