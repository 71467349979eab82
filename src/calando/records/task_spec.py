"""What is trained: one of our workloads, or a person's own training code.

    WorkloadSpec       model + data + augmentation + loss + batch size, trained in our loop
    OwnTrainingSpec    a script or function that trains by itself and reports its scores
    AnyTask            one of them; stored JSON is recognised by its field "code"

Where data lies on this machine is not part of a spec: it does not change the result (the data's fingerprint is kept by
the store instead).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from calando.errors import UsageError
from calando.language import message
from calando.records.fields import Plain, Spec, Worded
from calando.records.measure import SHARE, Measure

__all__ = ["AnyTask", "OwnTrainingSpec", "WorkloadSpec"]


class WorkloadSpec(Spec):
    """Model + data + augmentation + loss + batch size.

    Args:
        data: a registered name ("digits"), "folder:PATH", "csv:FILE,target=COLUMN" and the like, or "module:callable".
        model: a network's name ("resnet8"), "timm:NAME", "torchvision:NAME", "module:callable", or "own" for the
            network of a "module:callable" workload.
        batch_size: samples per update (all micro-batches together).
        accumulate: micro-batches per update; the batch is cut into this many equal parts.
        augment: "none", or parts joined by "+": "crop(4)+flip+cutout(8)".
        label_smoothing: label smoothing of the cross-entropy, in [0, 1).
        clip_norm: largest global norm of the gradient. None: no clipping.
        validation_fraction: part of the training set held out, class by class (docs/explanation/parts-and-outcomes.md).
        train_limit: number of training samples to use, after the validation part is cut off. None: all.
        metric: name of the score; "": the share of samples classified correctly.
        measure: goal and unit of the score.
        name: the user's name for it, `calando.workload(name=…)`; "": as `data`. It is in no digest.
    """

    data: Plain
    model: Plain = "cnn"
    batch_size: PositiveInt = 128
    accumulate: PositiveInt = 1
    augment: Plain = "none"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip_norm: (
        Annotated[float, Field(gt=0, allow_inf_nan=False), Worded(remedy=message("; leave it out to clip nothing"))]
        | None
    ) = None
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    train_limit: PositiveInt | None = None
    metric: Plain = ""
    measure: Measure = SHARE
    name: str = ""

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """No name and the usual score are not written, as in studies that were made before there were others."""
        written: dict[str, Any] = write(self)
        usual = {"name": "", "metric": "", "measure": SHARE}
        return {key: value for key, value in written.items() if key not in usual or getattr(self, key) != usual[key]}

    @property
    def title(self) -> str:
        """Its name in tables, figures and pages."""
        return self.name or self.data

    @property
    def heading(self) -> str:
        """The name with its network: "resnet8 on cifar10"."""
        return message("{model} on {title}", model=self.model, title=self.title)

    @property
    def network(self) -> str:
        """Its network, to follow the title: " with resnet8"."""
        return message(" with {model}", model=self.model)

    @property
    def facts(self) -> tuple[str, ...]:
        """What else decides a run, in words."""
        augmented = () if self.augment == "none" else (message("augmented by {augment}", augment=self.augment),)
        judged = () if not self.metric else (message("judged by {metric}", metric=self.metric),)
        return (message("batch {size}", size=self.batch_size), *augmented, *judged)

    def nameless(self) -> WorkloadSpec:
        """The same spec without a name."""
        return self.model_copy(update={"name": ""}) if self.name else self

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.batch_size % self.accumulate:
            raise UsageError(
                message(
                    "accumulate must divide the batch size, got {accumulate} for a batch size of {batch_size}",
                    accumulate=self.accumulate,
                    batch_size=self.batch_size,
                )
            )
        return self


class OwnTrainingSpec(Spec):
    """Your own training code, which itself decides what it trains and how it is judged.

    Args:
        code: the command that runs the script, or "function:NAME".
        goal: goal of the scores that it reports, see `Measure`.
        unit: unit of these scores, see `Measure`.
        own_optimizer: whether it keeps its own optimizer and takes only the rate from a strategy.
        name: the user's name for it; "": as `code`. It is in no digest.
    """

    code: Plain
    goal: Literal["max", "min"] = "max"
    unit: Plain = ""
    own_optimizer: bool = False
    name: str = ""

    @property
    def title(self) -> str:
        """Its name in tables, figures and pages."""
        return self.name or self.code

    @property
    def heading(self) -> str:
        """The same as `title`; only the code knows its network."""
        return self.title

    @property
    def network(self) -> str:
        """Empty; only the code knows its network."""
        return ""

    @property
    def facts(self) -> tuple[str, ...]:
        """What else decides a run, in words."""
        return (message("its own training code"),)

    @property
    def measure(self) -> Measure:
        """What a score means."""
        return Measure(goal=self.goal, unit=self.unit)

    def nameless(self) -> OwnTrainingSpec:
        """The same spec without a name."""
        return self.model_copy(update={"name": ""}) if self.name else self


def _kind_of_task(task: object) -> str:
    is_own = "code" in task if isinstance(task, dict) else isinstance(task, OwnTrainingSpec)
    return "own" if is_own else "workload"


AnyTask = Annotated[
    Annotated[WorkloadSpec, Tag("workload")] | Annotated[OwnTrainingSpec, Tag("own")], Discriminator(_kind_of_task)
]
