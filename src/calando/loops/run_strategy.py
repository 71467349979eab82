"""The strategy of a run at work in the code's own training: the networks that follow it, or the code's own optimizers.

length      what the study asks, what the code's loop makes and what `total_steps` says must be one number
updates     those of the first network or optimizer are counted, or those of a loop over steps
answers     of controllers, to what the code reports; of several ranks the first one's numbers count
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn
from torch.optim import Optimizer

from calando.errors import UsageError, quote
from calando.loops.attach import attach
from calando.loops.follow import Following, follow
from calando.loops.ranks import agreed
from calando.loops.reported_rate import ReportedRate
from calando.loops.run_channel import Assignment
from calando.loops.run_inputs import whole_number
from calando.methods.method import OWN
from calando.range_test.loss import Forward
from calando.records import StrategySpec
from calando.schedules import Horizon
from calando.strategy import bind
from calando.strategy.own_form import in_own_form
from calando.training.network_statistics import network_broken

__all__ = ["AtWork", "Length"]

LOOK = StrategySpec(name="look", method=OWN.name)
"""What an optimizer of the code's own is looked at with: it is made before it is known whose optimizer it is."""


@final
@dataclass(frozen=True)
class Length:
    """What the code says of its run's length, and of whose the optimizer is.

    Args:
        own: an optimizer of the code's own, made with the rate `usual_rate`.
    """

    total_steps: int
    steps_per_epoch: int | None
    own: bool
    usual_rate: float | None


@final
class AtWork:
    """A strategy in a person's training.

    `step` updates are made; a loop over steps that has no optimizer of torch's counts them itself in `by_hand`.

    Args:
        strategy: the one that is trained with.
        asked: the length that the study asks for.
        began: called once, when the length is known.
        updated: called after each update with its rate.
    """

    def __init__(
        self,
        strategy: StrategySpec,
        asked: Assignment,
        *,
        began: Callable[[Length], None],
        updated: Callable[[float], None],
    ) -> None:
        self.strategy = strategy
        self.epochs_in_all: int | None = None
        self._steps_in_all: int | None = None
        self.by_hand = 0
        self._asked, self._began, self._updated = asked, began, updated
        self.followed: list[Following] = []
        self._attached = self._known = False
        self._horizon: Horizon | None = None
        self._count: Callable[[], int] = lambda: self.by_hand
        self._weights: Callable[[], Iterable[torch.Tensor]] = tuple

    @property
    def step(self) -> int:
        """Updates made so far."""
        return self._count()

    @property
    def total_steps(self) -> int | None:
        """The horizon: what the code has said, or what the study asks for; None: neither."""
        if self._horizon is not None:
            return self._horizon.total_steps
        return self._asked.total_steps or self._asked.steps

    @property
    def has_optimizer(self) -> bool:
        """Whether something of torch's follows the strategy."""
        return self._attached or bool(self.followed)

    @property
    def second_passes(self) -> int:
        """Updates that took a second pass over their batch."""
        return sum(one.second_passes for one in self.followed)

    def multiplier(self, name: str) -> float:
        """Of a number of the training, at the next update.

        Raises:
            UsageError: the horizon is unknown.
        """
        if self._horizon is None:
            if self.total_steps is None:
                raise UsageError(
                    "the horizon is unknown: say total_steps= to run.follow or run.scheduler, or loop over run.steps(N)"
                )
            self._horizon = Horizon(self.total_steps, self._asked.steps_per_epoch)
        schedule = bind(self.strategy, self._horizon).schedules.get(name)
        if schedule is None:
            return 1.0
        horizon = self._horizon
        return float(schedule.bind(horizon.total_steps, steps_per_epoch=horizon.steps_per_epoch)(self.step))

    @property
    def lr(self) -> float:
        """The rate of the next update."""
        if self.strategy.lr is None:
            raise UsageError(f"{self.strategy.name} leaves its rate to trials: pass calando.run(…, lr=)")
        return self.strategy.lr * self.multiplier("lr")

    def value(self, name: str, usual: float) -> float:
        """Any other number of the training."""
        option = self.strategy.options.get(name, usual)
        if isinstance(option, bool) or not isinstance(option, int | float):
            raise UsageError(f"{name} must be a number, and the strategy has {quote(option)}")
        return option * self.multiplier(name) if name in self.strategy.schedules else option

    # The length of its loop

    def count_epochs(self, usual: int) -> int:
        """The epochs of its loop: as many as the study asks for, else `usual`."""
        count, asked, per_epoch = whole_number("epochs", usual), self._asked, self._asked.steps_per_epoch
        if asked.total_steps is not None and per_epoch:
            if asked.total_steps % per_epoch:
                raise UsageError(
                    f"{self.strategy.name} is asked for {asked.total_steps} updates, and this code trains whole epochs "
                    f"of {per_epoch}: ask for whole --epochs, or loop over run.steps(N)"
                )
            count = asked.total_steps // per_epoch
        elif asked.epochs is not None:
            count = whole_number("epochs", asked.epochs)
        self.epochs_in_all = count
        return count

    def count_steps(self, usual: int) -> int:
        """The updates of its loop, likewise."""
        usual = whole_number("steps", usual)
        self._steps_in_all = self._asked.total_steps or self._asked.steps or usual
        return self._steps_in_all

    # Who follows

    def follow(
        self,
        network: nn.Module,
        *,
        total_steps: int,
        steps_per_epoch: int | None,
        chance: float | torch.Tensor | Sequence[int] | None,
    ) -> Following:
        """A network that follows the whole strategy."""
        if self.strategy.method == OWN.name:
            raise UsageError(f"{self.strategy.text} is for an optimizer of your own: use run.scheduler(optimizer, …)")
        training = follow(
            network, self.strategy, total_steps=total_steps, steps_per_epoch=steps_per_epoch, chance=chance
        )
        self.followed.append(training)
        if not self._known:
            self._weights = lambda: [
                tensor for one in self.followed for tensor in (*one.network.parameters(), *one.network.buffers())
            ]
            length = Length(total_steps, steps_per_epoch, own=False, usual_rate=None)
            self._begin(training.optimizer, lambda: training.step, length)
        return training

    def schedule(self, optimizer: Optimizer, *, total_steps: int, steps_per_epoch: int | None) -> ReportedRate:
        """An optimizer of the code's own that follows the strategy's rate."""
        spec = LOOK if self._asked.look else in_own_form(self.strategy)
        schedules = dict(spec.schedules)
        schedule = schedules.pop("lr", "constant(1)")
        groups = optimizer.param_groups if isinstance(optimizer, Optimizer) else []
        held = {key for group in groups for key in ("beta1", "beta2", *group)}
        attached = attach(
            optimizer,
            schedule,
            total_steps=total_steps,
            steps_per_epoch=steps_per_epoch,
            hyper_parameters={key: text for key, text in schedules.items() if key in held},
        )
        usual = float(attached.base_lrs[0])
        if spec.lr is not None:
            if not usual > 0:
                raise UsageError(f"the optimizer's rate must be positive, got {usual}: groups keep their ratios to it")
            attached.base_lrs = [rate * (spec.lr / usual) for rate in attached.base_lrs]
        if not self._known:
            self._weights = lambda: [p for group in optimizer.param_groups for p in group["params"]]
            length = Length(total_steps, steps_per_epoch, own=True, usual_rate=usual)
            self._begin(optimizer, lambda: attached.step, length)
        self._attached = True
        return attached.scheduler

    def begin_by_hand(self, total_steps: int) -> None:
        """A loop over steps counts by itself, where nothing of torch's does."""
        if not self._known:
            self._begin(None, lambda: self.by_hand, Length(total_steps, None, own=True, usual_rate=None))

    def _begin(self, optimizer: Optimizer | None, count: Callable[[], int], length: Length) -> None:
        """The length is known: check it, and count the optimizer's updates."""
        self._check(length)
        self._horizon, self._count, self._known = Horizon(length.total_steps, length.steps_per_epoch), count, True
        if optimizer is not None:
            optimizer.register_step_post_hook(lambda it, args, kwargs: self._updated(float(it.param_groups[0]["lr"])))
        self._began(length)

    def _check(self, length: Length) -> None:
        asked, total = self._asked, length.total_steps
        wanted = asked.total_steps or asked.steps
        if asked.total_steps is None and asked.epochs is not None and length.steps_per_epoch:
            wanted = round(asked.epochs * length.steps_per_epoch)
        if wanted is not None and wanted != total:
            raise UsageError(
                f"this run is asked to have {wanted} updates, and its code says total_steps={total}; take the "
                "length from the run: epochs = run.epochs(10), then total_steps=len(epochs) * len(loader); or "
                "run.total_steps"
            )
        looped = self._steps_in_all
        if looped is None and self.epochs_in_all is not None and length.steps_per_epoch:
            looped = self.epochs_in_all * length.steps_per_epoch
        if looped is not None and looped != total:
            raise UsageError(
                f"the run's loop makes {looped} updates, and total_steps={total}; they must agree: "
                "total_steps=len(steps), or len(epochs) * len(loader)"
            )

    # What the weights are, and how controllers answer

    def digest(self) -> str:
        """Of the weights that follow the strategy, as they are now."""
        digest = hashlib.sha256()
        for tensor in self._weights():
            digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    @property
    def broken(self) -> str:
        """Which weights or statistics are not finite, in words, or ""."""
        return next((text for one in self.followed if (text := network_broken(one.network))), "")

    @property
    def stopped(self) -> str:
        """Why a controller has ended training, or ""."""
        return next((one.stopped for one in self.followed if one.stopped), "")

    def agree_on_loss(self, loss: float) -> float:
        """The first rank's, where a controller answers to it: else ranks would go on with other rates."""
        return agreed(loss) if any("loss" in one.answers_to for one in self.followed) else loss

    def observe(self, loss: float) -> Iterator[tuple[str, ...]]:
        """Let controllers answer to a training loss; what each network's did."""
        for one in self.followed:
            if "loss" in one.answers_to:
                yield one.observe(loss=loss)

    def agree_on_report(self, score: float, loss: float | None) -> tuple[float, float | None]:
        """The first rank's, where a controller answers to evaluations."""
        return agreed((score, loss)) if any(one.answers_to - {"loss"} for one in self.followed) else (score, loss)

    def answer(self, merit: float, loss: float | None) -> Iterator[tuple[str, ...]]:
        """Let a plateau answer to an evaluation; what each network's did.

        Args:
            merit: the score, the higher the better.
        """
        for one in self.followed:
            seen: dict[str, Any] = {}
            for name in one.answers_to - {"loss"}:
                if name == "validation_loss" and loss is None:
                    raise UsageError(f"{self.strategy.name} answers to the validation loss: run.report(score, loss=…)")
                seen[name] = loss if name == "validation_loss" else merit
            if seen:
                yield one.observe(**seen)

    def evaluated(self, batches: Iterable[Any] | None, *, forward: Forward | None) -> AbstractContextManager[None]:
        """The weights to judge in the first network that follows."""
        return self.followed[0].evaluated(batches, forward=forward) if self.followed else nullcontext()
