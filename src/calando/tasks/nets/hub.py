"""Networks of Transformers, built from a config on this machine, with random weights: nothing is fetched.

    transformers:gpt2,n_layer=2,n_head=2,n_embd=64     a kind of model, with its config's usual values or these
    transformers:PATH                                  a folder with a config.json

    images                    AutoModelForImageClassification     scores [N, classes]
    windows of tokens [N, L]  AutoModelForCausalLM                scores [N, L, vocabulary] of what follows each token

What the data decide (classes, vocabulary, channels, size of images, longest window) is set in the config. A model that
looks at later tokens is refused: it would see what it is to predict.
"""

from __future__ import annotations

import difflib
import importlib.util
import warnings
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calando.errors import UnknownName, UsageError, quote, reason_of
from calando.language import message
from calando.tasks.nets import Build, NetworkEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import nn

__all__ = ["ENTRIES"]

_FORM = "transformers"


def _build(
    name: str,
    *,
    classes: int,
    inputs: tuple[int, ...] | None = None,
    in_channels: int | None = None,
    image_size: tuple[int, int] | None = None,
) -> nn.Module:
    """The network of a config, which gives scores alone."""
    of = message("network '{form}:{name}'", form=_FORM, name=name)
    if importlib.util.find_spec(_FORM) is None:
        raise UsageError(
            message("networks '{form}:NAME' need {form}, which is not installed; run: pip install {form}", form=_FORM)
        )
    with _quiet():
        from transformers import AutoModelForCausalLM, AutoModelForImageClassification

        config = _config(name, of=of)
        if image_size is not None and in_channels is not None:
            auto: Any = AutoModelForImageClassification
            height, width = image_size
            size = height if height == width else [height, width]
            _set(config, num_labels=classes, num_channels=in_channels, image_size=size)
        elif inputs is not None and len(inputs) == 1:
            auto = AutoModelForCausalLM
            _set(config, vocab_size=classes, is_decoder=True, use_cache=False)
            _set(config, bos_token_id=None, eos_token_id=None, pad_token_id=None)
            longest = getattr(config, "max_position_embeddings", None)
            if longest is not None and longest < inputs[0]:
                _set(config, max_position_embeddings=inputs[0])
        else:
            raise UsageError(
                message(
                    "{of} is built for images, or for windows of tokens [N, L]; for other samples give "
                    "model= a function that builds it",
                    of=of,
                )
            )
        try:
            network = auto.from_config(config)
        except Exception as error:  # their code checks a config where it is built, each its own way
            raise UsageError(message("{of} cannot be built: {reason}", of=of, reason=reason_of(error))) from error
    scores: nn.Module = _scores()(network)
    if auto is AutoModelForCausalLM and inputs is not None:
        _refuse_looking_ahead(scores, length=inputs[0], vocabulary=classes, of=of)
    return scores


@contextmanager
def _quiet() -> Iterator[None]:
    """Their hints on values that a config leaves open are no errors of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _config(name: str, *, of: str) -> Any:
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind, *changes = name.split(",")
    folder = Path(kind).expanduser()
    if kind in CONFIG_MAPPING:
        config = AutoConfig.for_model(kind)
    elif (folder / "config.json").is_file():
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # a damaged file, or one of a kind that this version does not know
            raise UsageError(
                message(
                    "{of}: {path} cannot be read: {reason}",
                    of=of,
                    path=folder / "config.json",
                    reason=reason_of(error),
                )
            ) from error
    else:
        known = list(CONFIG_MAPPING.keys())
        near = difflib.get_close_matches(kind, known, n=8, cutoff=0.3) or sorted(known)[:8]
        hint = message("or a folder with a config.json; nothing is fetched from the hub")
        raise UnknownName(message("{form} model", form=_FORM), kind, near, hint=hint)
    for change in changes:
        key, sign, value = change.partition("=")
        if not sign or not hasattr(config, key) or key.startswith("_"):
            near = difflib.get_close_matches(key, list(config.to_dict()), n=1)
            raise UsageError(
                message(
                    "{of}: its config has no value {key}; did you mean {near}=…?"
                    if near
                    else "{of}: its config has no value {key}",
                    of=of,
                    key=quote(key),
                    near=near[0] if near else "",
                )
            )
        _set(config, **{key: _value(value, like=getattr(config, key), of=message("{of}: {key}", of=of, key=key))})
    return config


def _value(text: str, *, like: object, of: str) -> object:
    """A value of the same type."""
    if isinstance(like, bool):
        if text not in ("true", "false"):
            raise UsageError(message("{of} must be true or false, got {text}", of=of, text=quote(text)))
        return text == "true"
    try:
        return int(text) if isinstance(like, int) else float(text) if isinstance(like, float) else _number_or_text(text)
    except ValueError as error:
        raise UsageError(
            message("{of} must be a number as {like}, got {text}", of=of, like=like, text=quote(text))
        ) from error


def _number_or_text(text: str) -> object:
    return int(text) if text.isascii() and text.isdigit() else text


def _set(config: Any, **values: object) -> None:
    """Set what the config has."""
    for key, value in values.items():
        if hasattr(config, key):
            setattr(config, key, value)


@cache
def _scores() -> type[nn.Module]:
    from torch import nn

    class Scores(nn.Module):
        """Of all that their network gives, the scores."""

        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, samples: torch.Tensor) -> torch.Tensor:
            """Images [N, C, H, W] or tokens [N, L]."""
            scores: torch.Tensor = self.network(samples).logits
            return scores

    return Scores


def _refuse_looking_ahead(network: nn.Module, *, length: int, vocabulary: int, of: str) -> None:
    """Change the last token: what is predicted of the ones before may not change."""
    import torch

    was = network.training
    network.eval()
    tokens = torch.zeros(2, length, dtype=torch.int64)
    tokens[1, -1] = min(1, vocabulary - 1)
    try:
        with torch.no_grad():
            scores = network(tokens)
    except Exception as error:  # theirs
        raise UsageError(
            message(
                "{of} does not take windows of {length} tokens: {reason}", of=of, length=length, reason=reason_of(error)
            )
        ) from error
    finally:
        network.train(was)
    if tuple(scores.shape) != (2, length, vocabulary):
        raise UsageError(
            message(
                "{of} gives {shape}, not scores [2, {length}, {vocabulary}] for two windows",
                of=of,
                shape=tuple(scores.shape),
                length=length,
                vocabulary=vocabulary,
            )
        )
    if not torch.allclose(scores[0, :-1], scores[1, :-1], rtol=1e-3, atol=1e-4):
        raise UsageError(
            message("{of} looks at later tokens, so it would see what it is to predict; take one such as gpt2", of=of)
        )


def _read(text: str) -> Build | None:
    form, colon, name = text.partition(":")
    if form != _FORM or not colon:
        return None
    if not name:
        raise UsageError(
            message(
                "{text!r} names no network; write {form}:NAME, e.g. {form}:gpt2,n_layer=2,n_head=2,n_embd=64",
                text=text,
                form=form,
            )
        )
    return partial(_build, name)


ENTRIES = (
    NetworkEntry(
        names="transformers:NAME",
        description="any of Transformers, from its config or a PATH of one, for images or text; no weights are fetched",
        read=_read,
    ),
)
