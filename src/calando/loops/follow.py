"""A whole strategy in a person's own training loop: hooks do what the method needs besides its steps.

    before optimizer.step()     the rates of update t are written; a closure is called as the method needs it
    after it                    the average takes the weights in; t becomes t + 1, unless a gradient scaler skipped it
    observe(…)                  controllers answer: a plateau cuts the rate, a rollback restores good weights
    evaluated(…)                the network holds the weights to judge, and batch norm has their statistics

The optimizer is the method's own, with public hooks of torch, so it works wherever a torch optimizer does. Its
`state_dict` holds all state, under "calando": who saves the optimizer saves the strategy.

A closure is torch's: it clears gradients, works the loss out, calls `backward` and returns the loss. SAM calls it twice
an update, the second time with the dropout of the first and without touching running statistics; so does `edge` at the
updates that it measures. Its curvature is that of the gradients as the closure leaves them: do not clip there.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, final
from weakref import proxy

import torch
from torch import nn
from torch.optim import Optimizer

from calando.errors import UsageError
from calando.loops.attach import note_driven
from calando.loops.optimizer_hooks import StepHooks
from calando.loops.reported_rate import ReportedRate
from calando.loops.session_hooks import SessionHooks
from calando.methods import find_method
from calando.methods.method import check_methods_installed
from calando.range_test.loss import Forward
from calando.records import StrategySpec
from calando.schedules import Horizon
from calando.schedules.checks import quote
from calando.sizes import check_rate
from calando.strategy import BoundStrategy, at_rate, bind, read_strategy
from calando.tasks.chance import Chance, chance_of
from calando.tasks.tree import moved
from calando.training.evaluate import BATCHES
from calando.training.network_statistics import gathering_statistics
from calando.training.restore import undisturbed_loader

__all__ = ["Following", "chance_given", "follow"]

MOST_CLASSES = 1_000_000


def follow(
    network: nn.Module,
    strategy: str | os.PathLike[str] | StrategySpec,
    *,
    total_steps: int,
    steps_per_epoch: int | None = None,
    lr: float | None = None,
    chance: float | torch.Tensor | Sequence[int] | None = None,
) -> Following:
    """Train a network in your own loop with any strategy: method, schedules, average and controllers.

    Args:
        network: its trained parameters are divided into the groups that the method needs; it must already be on its
            device.
        strategy: name of a preset or a schedule, a strategy text or a file, as for `calando compare`.
        total_steps: horizon in updates; after it the last rate is kept.
        steps_per_epoch: updates in one epoch; needed if a length is in epochs.
        lr: base rate, if the strategy leaves it to trials (`lr=auto`); it overrides the strategy's.
        chance: loss at chance level, by which a rollback recognises a network that died: the loss of a network that
            knows only how frequent each class is, which is the entropy of the class frequencies, or log(classes) if
            they are equal. Or, for a mean cross-entropy, the class numbers of the training samples, such as
            `dataset.targets`.

    Raises:
        UsageError: the strategy is invalid, has no rate, or does not fit the horizon or the network; or it needs a
            package that is not installed.

    >>> import torch, calando
    >>> x, y = torch.randn(64, 1, 4, 4), torch.arange(64) % 2
    >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    >>> training = calando.follow(network, "ema-cosine", lr=0.1, total_steps=20)
    >>> while not training.done:
    ...     nn.functional.cross_entropy(network(x), y).backward()
    ...     training.optimizer.step()
    ...     training.optimizer.zero_grad()
    >>> with training.evaluated([(x, y)]):
    ...     accuracy = (network(x).argmax(1) == y).float().mean()
    >>> training.step, training.optimizer.param_groups[0]["lr"] < 0.001
    (20, True)
    """
    if not isinstance(network, nn.Module):
        raise UsageError(f"network must be a torch.nn.Module, got {type(network).__name__}")
    if not isinstance(strategy, str | os.PathLike | StrategySpec):
        raise UsageError(f"strategy must be a preset's name, a text or a file, got {strategy!r}")
    known = chance_given(chance)
    spec = strategy if isinstance(strategy, StrategySpec) else read_strategy(os.fspath(strategy))
    if spec.horizon:
        raise UsageError(f"leave out horizon('{spec.horizon}'): in your own loop total_steps is the horizon")
    check_methods_installed([spec])
    rate = _rate(spec, lr)
    return Following(network, bind(spec, Horizon(total_steps, steps_per_epoch)), lr=rate, chance=known)


@final
class Following:
    """A strategy that a network is trained with; made by `follow`.

    Args:
        network: as it was given.
        strategy: as it was read.
        optimizer: the method's; call its `step` and `zero_grad` as ever.
        scheduler: for a framework that expects one: it reports the rates that are used, and sets none.
    """

    __slots__ = ("__weakref__", "_chance", "_hooks", "_session", "network", "optimizer", "scheduler", "strategy")

    def __init__(self, network: nn.Module, bound: BoundStrategy, *, lr: float, chance: float | Chance | None) -> None:
        self.network, self.strategy = network, bound.spec
        self.optimizer: Optimizer = bound.optimizer(network, lr=lr)
        # The optimizer's hooks hold what is made here, which therefore must not hold the optimizer.
        known = chance.loss if isinstance(chance, Chance) else chance
        self._hooks = hooks = SessionHooks(network, proxy(self.optimizer), bound, chance=known)
        self._session = session = hooks.session
        self._chance = chance if isinstance(chance, Chance) else None
        note_driven(self.optimizer)
        StepHooks(
            self.optimizer,
            before=hooks.before,
            after=hooks.after,
            rates=lambda: hooks.rates,
            initialise=hooks.initialise,
        )
        self.optimizer.register_state_dict_post_hook(hooks.save)
        self.optimizer.register_load_state_dict_pre_hook(hooks.check)
        self.optimizer.register_load_state_dict_post_hook(hooks.load)
        self.scheduler = ReportedRate(
            self.optimizer,
            next_step=lambda: session.step,
            write=hooks.write_ahead,
            next_lrs=session.next_rates,
            base_lrs=lambda: list(session.driver.base_values["lr"]),
        )

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, "scheduler"):  # made last
            raise AttributeError(f"what calando.follow gives is fixed: setting {name!r} would change nothing")
        super().__setattr__(name, value)

    def __reduce__(self) -> str:
        raise UsageError(
            "what calando.follow gives cannot be copied or pickled: a copied optimizer has no hooks. Save "
            "optimizer.state_dict(), and load it into what follow() gives for the copied network"
        )

    def __repr__(self) -> str:
        """The strategy, and how far it is."""
        rate = self.get_last_lr()[0]
        return f"training of {self.strategy.name}: update {self.step} of {self._hooks.total_steps}, rate {rate:.3g}"

    @property
    def step(self) -> int:
        """Updates made so far; the next one is update number `step`. A rollback takes some back."""
        return self._session.step

    @property
    def done(self) -> bool:
        """All updates were made, or training ended early: see `stopped`."""
        return self._session.step >= self._hooks.total_steps or self.stopped is not None

    @property
    def stopped(self) -> str | None:
        """Why training ended early, or None: a rollback gave up, or weights were not finite where `observe` looked."""
        return self._session.stopped

    @property
    def events(self) -> tuple[str, ...]:
        """What controllers did, in sentences, oldest first."""
        return tuple(self._hooks.events)

    @property
    def answers_to(self) -> frozenset[str]:
        """What its controllers answer to: "loss", "validation_loss", "validation_score"."""
        return frozenset(want.seen for want in self._session.wants)

    @property
    def second_passes(self) -> int:
        """Updates that took a second pass over their batch."""
        return self._session.second_passes

    def get_last_lr(self) -> list[float]:
        """Each group's present rate."""
        return self._hooks.get_last_lr()

    def observe(
        self,
        *,
        loss: float | torch.Tensor | None = None,
        validation_loss: float | torch.Tensor | None = None,
        validation_score: float | torch.Tensor | None = None,
        targets: torch.Tensor | None = None,
    ) -> tuple[str, ...]:
        """Report the result of the last update to the controllers; after `optimizer.step()`, each value once an update.

        Args:
            loss: the training loss of its batch; after every update where a rollback, or a plateau on the training
                loss, is there.
            validation_loss, validation_score: where an evaluation followed.
            targets: the class numbers of its batch, where `chance` was given as those of all samples: where classes are
                unequal, a batch's loss depends on which of them are in it.

        Returns:
            What they did, in sentences; mostly nothing.

        Raises:
            UsageError: no update since the value was given last; a value that they need is missing, or nobody asks for.

        >>> import torch, calando
        >>> network = nn.Linear(1, 1)
        >>> training = calando.follow(network, "sgd(lr=0.1) | plateau(factor=0.5, patience=1)", total_steps=9)
        >>> for found in (0.5, 0.6):
        ...     network(torch.ones(1, 1)).sum().backward()
        ...     training.optimizer.step()
        ...     print(training.observe(validation_loss=found))
        ()
        ('rate multiplied by 0.5: no progress on validation loss 0.5 for 1 step',)
        """
        batch_chance = None if targets is None else self._chance_of(targets)
        return self._hooks.observe(
            loss=loss,
            validation_loss=validation_loss,
            validation_score=validation_score,
            batch_chance=batch_chance,
        )

    def _chance_of(self, targets: torch.Tensor) -> float:
        if self._chance is None:
            raise UsageError("targets are compared with the labels of all samples: give follow(chance=labels) as well")
        numbers = torch.as_tensor(targets).detach().cpu().flatten()
        if (
            not len(numbers)
            or numbers.is_floating_point()
            or not 0 <= numbers.min() <= numbers.max() < self._chance.classes
        ):
            raise UsageError(f"observe: targets must be class numbers 0 … {self._chance.classes - 1}, got {targets!r}")
        return self._chance.of_batch(numbers.long())

    @contextmanager
    def evaluated(
        self, batches: Iterable[Any] | None = None, *, forward: Forward | None = None, most: int = BATCHES
    ) -> Iterator[None]:
        """Put the network into evaluation mode, with the weights to judge, save or export.

        Those are not the trained ones for schedule-free methods, DoG, `ema` and `swa`. The statistics of batch
        normalisation are gathered again for them, as the mean over training batches. Afterwards weights, statistics,
        modes, generators and the loader's position are as they were, to the bit.

        Args:
            batches: training batches, such as the loader; needed where the network has batch normalisation. A batch
                is (*inputs, target), a dict of the network's arguments, or the input.
            forward: called with (network, batch) instead, for batches of another make.
            most: how many are taken.

        Raises:
            UsageError: batches are needed and there are none; an update is made within, or the optimizer's state is
                saved: both would be of the wrong weights.
        """
        if batches is not None and not isinstance(batches, Iterable):
            raise UsageError(f"evaluated: batches must be a loader or a list of batches, got {batches!r}")
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise UsageError(f"evaluated: most must be a whole number from 1, got {most!r}")
        if forward is not None and not callable(forward):
            raise UsageError(f"evaluated: forward must be called with (network, batch), got {forward!r}")
        layers, session = self._hooks.gathered, self._session
        if layers and batches is None and session.others_evaluated and not session.evaluating:
            raise UsageError(
                "the network has batch normalisation, and its statistics are of other weights than those evaluated; "
                "pass training batches: evaluated(loader)"
            )

        def recalibrate() -> None:
            if layers:
                assert batches is not None
                _recalibrate(self.network, layers, islice(undisturbed_loader(batches), most), forward or _forward)

        modes = [(module, module.training) for module in self.network.modules()]
        try:
            with session.evaluated(recalibrate, source=batches):
                self.network.eval()
                yield
        finally:
            for module, training in modes:
                module.training = training


def _rate(strategy: StrategySpec, given: float | None) -> float:
    rate = strategy.lr if given is None else given
    if rate is None:
        method = find_method(strategy.method)
        raise UsageError(
            f"{strategy.name} leaves its rate to trials; pass lr=, from calando.find_lr or `calando compare` "
            f"(usual for {method.name}: {method.usual_rate:g})"
        )
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
        raise UsageError(f"lr must be a positive finite number, got {quote(rate)}")
    rate = check_rate("lr", rate)
    at_rate(strategy, rate)
    return rate


def _recalibrate(
    network: nn.Module,
    layers: Collection[nn.modules.batchnorm._BatchNorm],
    batches: Iterable[Any],
    forward: Forward,
) -> None:
    device = next(network.parameters()).device
    taken = 0
    with gathering_statistics(network, layers):
        for batch in batches:
            forward(network, moved(batch, device))
            taken += 1
    if not taken:
        raise UsageError("batch normalisation's statistics need training batches, and there was none")


def chance_given(given: object) -> float | Chance | None:
    if given is None or (isinstance(given, int | float) and not isinstance(given, bool) and 0 < given < math.inf):
        return given
    wanted = "chance must be a loss above 0, such as log(classes), or the class numbers of the training samples"
    if isinstance(given, bool | int | float | str):
        raise UsageError(f"{wanted}, got {given!r}")
    try:
        labels = torch.as_tensor(given).detach().cpu().flatten()
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(f"{wanted}, got an object of type {type(given).__name__}") from None
    if not len(labels) or labels.is_floating_point() or labels.dtype == torch.bool or int(labels.min()) < 0:
        raise UsageError(f"{wanted}, got {len(labels)} numbers of {labels.dtype}")
    if (classes := int(labels.max()) + 1) < 2:
        raise UsageError(f"{wanted}, got one class alone")
    if classes > MOST_CLASSES:
        raise UsageError(f"{wanted}, which go up to {classes - 1} here; number the classes 0, 1, 2 … without gaps")
    return chance_of(labels.long(), classes=classes)


def _forward(network: nn.Module, batch: Any) -> object:
    if isinstance(batch, Mapping):
        return network(**batch)
    if isinstance(batch, tuple | list):
        return network(*(batch[:-1] if len(batch) > 1 else batch))
    return network(batch)
