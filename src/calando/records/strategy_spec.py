"""What is compared: a strategy, and the pipe text that builds it.

sgd(lr=0.1, momentum=0.9) | cosine(1, 0) | momentum: constant(1) | horizon('10 epochs')
"""

from __future__ import annotations

import textwrap
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from calando.errors import UsageError
from calando.language import message
from calando.records.fields import FiniteOption, Name, Option, OwnHorizon, Plain, Spec
from calando.rows import WIDTH
from calando.shown import Shown

__all__ = ["StrategySpec"]


class StrategySpec(Shown, Spec):
    """Method + hyper-parameters + schedules + controllers + average: the thing compared.

    Args:
        name: its name in tables and figures.
        method: a registered method ("sgd", "adamw").
        lr: base rate. None: "auto", chosen by trials.
        options: the method's other hyper-parameters, as given.
        schedules: hyper-parameter name -> schedule text; each is a multiplier of the base value.
        controllers: controller texts, in order.
        average: text of the weight average that is evaluated, "ema(decay=0.999)" or "swa(start='75%')"; "": none.
        horizon: length of its runs, "10 epochs", "500 steps" or "50%" of the study's length; "": all of it.
    """

    name: Name
    method: Plain
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    options: dict[Name, FiniteOption] = Field(default_factory=dict)
    schedules: dict[Name, Plain] = Field(default_factory=dict)
    controllers: tuple[Plain, ...] = ()
    average: Plain = ""
    horizon: OwnHorizon = ""

    @model_serializer(mode="wrap")
    def _without_what_is_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """No horizon is not written: specs without one keep the digests they had before there were any."""
        written: dict[str, Any] = write(self)
        if not self.horizon:
            written.pop("horizon", None)
        return written

    @property
    def text(self) -> str:
        """The pipe text that builds this strategy.

        >>> StrategySpec(name="x", method="sgd", lr=0.1, schedules={"lr": "cosine(1, 0)"}).text
        'sgd(lr=0.1) | cosine(1, 0)'
        """
        lr = "auto" if self.lr is None else repr(self.lr)
        options = "".join(f", {key}={_show(value)}" for key, value in self.options.items())
        parts = [f"{self.method}(lr={lr}{options})"]
        parts += [text if key == "lr" else f"{key}: {text}" for key, text in self.schedules.items()]
        parts += self.controllers
        if self.average:
            parts.append(self.average)
        if self.horizon:
            parts.append(f"horizon({self.horizon!r})")
        return " | ".join(parts)

    def __repr__(self) -> str:
        """Its name, and the text that builds it."""
        return textwrap.shorten(f"{self.name}: {self.text}", 2 * WIDTH, placeholder=" …")

    def table(self) -> list[dict[str, Any]]:
        """A row for each part of its text: what the part is, and what it says."""
        rate = {"part": "rate", "text": "chosen by trials" if self.lr is None else f"{self.lr:g}"}
        rows = [{"part": "method", "text": self.method}, rate]
        rows += [{"part": key, "text": _show(value)} for key, value in self.options.items()]
        rows += [{"part": f"schedule of {key}", "text": text} for key, text in self.schedules.items()]
        rows += [{"part": "controller", "text": text} for text in self.controllers]
        rows += [{"part": part, "text": text} for part in ("average", "horizon") if (text := getattr(self, part))]
        return rows

    def at_rate(self, lr: float) -> StrategySpec:
        """The same strategy at this base rate."""
        return self.model_copy(update={"lr": lr})

    def without_horizon(self) -> StrategySpec:
        """The same strategy without a horizon of its own."""
        return self.model_copy(update={"horizon": ""}) if self.horizon else self

    def steps_within(self, steps: int, *, steps_per_epoch: int | None) -> int:
        """Length of its runs in updates.

        For the horizon "" it is steps; for "p%", round(p / 100 · steps); for "e epochs", round(e · steps_per_epoch).

        Args:
            steps: length of the study, which is the longest possible.

        Raises:
            UsageError: the horizon is less than one update or more than `steps`, or it is in epochs and
                `steps_per_epoch` is None.

        >>> StrategySpec(name="x", method="sgd", horizon="2 epochs").steps_within(100, steps_per_epoch=10)
        20
        """
        if not self.horizon:
            return steps
        from calando.schedules.span import Horizon, Span

        own = round(Horizon(steps, steps_per_epoch).steps(Span.parse(self.horizon)))
        if own < 1:
            raise UsageError(
                message(
                    "strategy {name!r}: its horizon, '{horizon}', comes to less than one update; make it longer",
                    name=self.name,
                    horizon=self.horizon,
                )
            )
        if own > steps:
            raise UsageError(
                message(
                    "strategy {name!r}: its horizon, '{horizon}', is {own:.9g} updates and must be at most "
                    "what the longest runs are asked to have, {steps}; give --epochs or --steps that is as "
                    "long",
                    name=self.name,
                    horizon=self.horizon,
                    own=own,
                    steps=steps,
                )
            )
        return own


def _show(value: Option) -> str:
    return str(list(value)) if isinstance(value, tuple) else repr(value)
