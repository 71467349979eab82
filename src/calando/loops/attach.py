"""Schedules that advance by themselves, on every real update of an optimizer.

    before optimizer.step()     the values of update t are written, whatever was loaded or set since the last one
    after it                    t becomes t + 1, unless the gradient scaler skipped the update

Both are public hooks of torch. A `GradScaler` that finds infinite gradients does not call
`optimizer.step`; it calls a fused optimizer with `found_inf` set, which is read here, at the cost of one wait for the
device an update. Calls that only accumulate gradients never reach the optimizer.

All state is in `optimizer.state_dict()`, under "calando": who saves the optimizer saves the place in the schedule.

A CUDA graph that holds `optimizer.step` replays without its hooks: use `calando.LRScheduler` there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import index
from typing import Any, NoReturn, SupportsFloat, SupportsIndex, final
from weakref import WeakSet, proxy, ref

from torch.optim import Optimizer

from calando.errors import UsageError
from calando.loops.optimizer_hooks import StepHooks, check_runs_hooks, keeper, pop_from_groups, put, take, wrapped
from calando.loops.other_writers import OtherWriters
from calando.loops.reported_rate import ReportedRate
from calando.loops.scheduled_optimizer import Jump, ScheduledOptimizer
from calando.methods.driver import was_skipped
from calando.methods.known_groups import AddedAt
from calando.schedules import Finding, Horizon, Schedule

__all__ = ["Attached", "attach", "note_driven", "refuse_attached"]

GONE = "the optimizer that followed the attached schedules is gone; keep a reference to it"


def attach(
    optimizer: Optimizer,
    schedule: Schedule | str,
    *,
    total_steps: int,
    steps_per_epoch: int | None = None,
    hyper_parameters: Mapping[str, Schedule | str] | None = None,
    added_at: AddedAt = "base",
) -> Attached:
    """Let an optimizer follow schedules by itself, without a `step()` to call.

    The optimizer's `state_dict` holds the position in the schedule, so saving and loading the optimizer resumes it.
    Keep the returned object to extend or detach; without it, the optimizer goes on following. The schedules override a
    scheduler that was built before. With Accelerate, attach before `prepare`. Where a framework expects a scheduler,
    give it `attached.scheduler`.

    Args:
        optimizer, schedule, total_steps, steps_per_epoch, hyper_parameters, added_at: as for `calando.LRScheduler`.

    Raises:
        UsageError: as for `calando.LRScheduler`; or the optimizer runs no hooks (a wrapper round another one), or
            already has schedules attached. Nothing was changed.

    >>> import torch, calando
    >>> optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1)
    >>> attached = calando.attach(optimizer, "linear(1, 0)", total_steps=100)
    >>> for _ in range(51):
    ...     optimizer.step()
    >>> attached.step, attached.get_last_lr()
    (51, [0.05])
    """
    check_runs_hooks(optimizer, "attach")
    refuse_attached(optimizer)
    # The optimizer's hooks hold what is made here, which therefore must not hold the optimizer.
    scheduled = ScheduledOptimizer(
        proxy(optimizer),
        schedule,
        total_steps=total_steps,
        steps_per_epoch=steps_per_epoch,
        hyper_parameters=hyper_parameters,
        added_at=added_at,
        writers=OtherWriters(compose=False, remedy="detach() ends that"),
    )
    attached = Attached(optimizer, scheduled)
    note_driven(optimizer)
    return attached


@final
class Attached:
    """Schedules that an optimizer follows; made by `attach`.

    It does not keep the optimizer: once that is gone, nothing here can be asked for but `step`.
    """

    __slots__ = (
        "__weakref__", "_hooks", "_loading", "_of_place", "_optimizer", "_own_scheduled", "_scheduler", "_step",
    )  # fmt: skip

    def __init__(self, optimizer: Optimizer, scheduled: ScheduledOptimizer) -> None:
        self._step = 0
        self._own_scheduled = scheduled
        self._of_place = False  # the notice is about the place, and is dropped when somebody sets that
        self._optimizer = ref(optimizer)
        self._loading: Any = None
        self._scheduler: ref[ReportedRate] | None = None  # it holds the optimizer
        # Not the hooks themselves, which hold this.
        self._hooks = StepHooks(
            optimizer,
            before=self._before_update,
            after=self._after_update,
            rates=lambda: self._scheduled.driver.written["lr"],
        ).handles
        holder = keeper(optimizer)
        assert holder is not None, "checked by attach"
        self._hooks += (
            holder.register_state_dict_post_hook(self._save),
            holder.register_load_state_dict_pre_hook(self._check),
            holder.register_load_state_dict_post_hook(self._load),
        )
        self._notice_loaded_before(pop_from_groups(optimizer))
        scheduled.driver.write(0)

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            "what calando.attach gives cannot be copied or pickled: a copied optimizer has no hooks. Save "
            "optimizer.state_dict(), and load it into another optimizer with the same schedules attached"
        )

    def __repr__(self) -> str:
        """The schedule, and how far it is."""
        driver = self._own_scheduled.driver
        gone = " (the optimizer is gone)" if self._optimizer() is None else ""
        return f"attached {driver.schedules['lr']}: update {self._step} of {driver.horizon.total_steps}{gone}"

    @property
    def _scheduled(self) -> ScheduledOptimizer:
        if self._optimizer() is None:
            raise UsageError(GONE)
        return self._own_scheduled

    @property
    def step(self) -> int:
        """Updates made so far; the next one is update number `step`. It may be set, to go on elsewhere."""
        return self._step

    @step.setter
    def step(self, step: SupportsIndex) -> None:
        try:
            number = index(step)
        except TypeError:
            number = -1
        if number < 0:
            raise UsageError(f"step must be the number of an update, a whole number from 0, got {step!r}")
        self._step = number
        if self._of_place:
            self._own_scheduled.notice, self._of_place = None, False

    @property
    def schedule(self) -> Schedule:
        """The rate's schedule."""
        return self._scheduled.driver.schedules["lr"]

    @property
    def horizon(self) -> Horizon:
        """The updates that the run is planned for, and those of an epoch."""
        return self._scheduled.driver.horizon

    @property
    def base_lrs(self) -> list[float]:
        """Each group's base rate, as a float; to set them changes the rates from the next update on."""
        return list(self._scheduled.driver.base_values["lr"])

    @base_lrs.setter
    def base_lrs(self, rates: Sequence[SupportsFloat]) -> None:
        self._scheduled.rebase(rates)
        self._write_ahead()

    @property
    def scheduler(self) -> ReportedRate:
        """What to give a framework that expects a scheduler: it reports the rates that are used, and sets none.

        >>> import torch, calando
        >>> optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1)
        >>> attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
        >>> for _ in range(3):
        ...     optimizer.step()
        ...     attached.scheduler.step()
        >>> attached.step, attached.scheduler.get_last_lr()
        (3, [0.06999999999999999])
        """
        reported = None if self._scheduler is None else self._scheduler()
        if reported is None:
            optimizer = self._optimizer()
            if optimizer is None:
                raise UsageError(GONE)
            reported = ReportedRate(
                optimizer,
                next_step=lambda: self.step,
                write=self._write_ahead,
                next_lrs=lambda: self._scheduled.driver.values(self.step)["lr"],
                base_lrs=lambda: self.base_lrs,
            )
            self._scheduler = ref(reported)
        return reported

    def get_last_lr(self) -> list[float]:
        """Each group's rate as the last update had it, as a float; before the first, as that will have it.

        After `scheduler.step()`, or where base rates were set, as the next update will have it.
        """
        return [float(group["lr"]) for group in self._scheduled.driver.optimizer.param_groups]

    def extend(self, *, total_steps: int, steps_per_epoch: int | None = None) -> tuple[Jump, ...]:
        """Go on, from the next update, on a longer or shorter horizon; as `LRScheduler.extend`."""
        return self._scheduled.extend(self.step, total_steps=total_steps, steps_per_epoch=steps_per_epoch)

    def lint(self) -> list[Finding]:
        """What is suspicious about the schedules, and about how they meet this optimizer; see `calando lint`."""
        return self._scheduled.lint()

    def state_dict(self) -> dict[str, Any]:
        """The step, the horizon, the schedules' texts and the base values; `LRScheduler` reads it too.

        `optimizer.state_dict()` holds it under "calando".
        """
        return self._scheduled.state(self.step)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go to the saved step; as `LRScheduler.load_state_dict`, whose states will do."""
        # Below 0 is the step of a scheduler that waits for its turn in a sequence.
        self._step, self._of_place = max(0, self._scheduled.restore(state_dict)), False

    def detach(self) -> None:
        """Stop following: the values stay as they are, and something else may drive the optimizer."""
        for hook in self._hooks:
            hook.remove()
        if (optimizer := self._optimizer()) is not None:
            _DRIVEN.difference_update(wrapped(optimizer))

    def keep_place(self) -> Callable[[], None]:
        step, scheduled = self._step, self._own_scheduled

        def put_back() -> None:
            self._step = step
            scheduled.driver.forget()

        return put_back

    def _write_ahead(self) -> None:
        self._scheduled.driver.write(self.step)

    def _save(self, optimizer: Optimizer, state_dict: dict[str, Any]) -> None:
        put(state_dict, self.state_dict())

    def _check(self, optimizer: Optimizer, state_dict: dict[str, Any]) -> None:
        saved = take(state_dict)
        if saved is not None:
            try:
                self._scheduled.check(saved)
            except UsageError as problem:
                raise UsageError(f"{problem}; to take the optimizer's own state alone, load it before attach") from None
        self._loading = saved

    def _load(self, optimizer: Optimizer) -> None:
        saved, self._loading = self._loading, None
        if saved is not None:
            self._step, self._of_place = max(0, self._scheduled.restore(saved)), False
            return
        self._of_place = True
        self._scheduled.notice = (
            "the optimizer's state was loaded, but the place in the schedule was not in it (saved without attached "
            f"schedules, or by something that leaves it out): the schedule goes on at update {self.step}; to go on "
            "elsewhere, attached.load_state_dict(…) or attached.step = …"
        )

    def _notice_loaded_before(self, saved: Any) -> None:
        """Notice a state of these schedules that was loaded before attach, when nothing could take it."""
        try:
            self._scheduled.check(saved)
        except (TypeError, UsageError):
            return
        if saved["last_epoch"]:
            self._of_place = True
            self._scheduled.notice = (
                f"the optimizer's state was saved at update {saved['last_epoch']} of these schedules and loaded before "
                "attach, so they begin at update 0: attach first, or attached.load_state_dict(state['calando']), where "
                "state is the optimizer's"
            )

    def _before_update(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        scheduled = self._own_scheduled
        if scheduled.notice is not None:
            # What was saved holds the rates of the update before.
            for step in (self._step, self._step - 1):
                scheduled.goes_on_at(step)
            scheduled.warn_notice(stacklevel=3)
        scheduled.driver.write_exactly(self._step)

    def _after_update(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not was_skipped(optimizer):
            self._step += 1


_DRIVEN: WeakSet[Optimizer] = WeakSet()


def refuse_attached(optimizer: Optimizer) -> None:
    """Refuse a second writer (UsageError): the two would overwrite each other."""
    if any(one in _DRIVEN for one in wrapped(optimizer)):
        raise UsageError(
            "this optimizer follows attached schedules already; call detach() on what attach returned first, or, if it "
            "is of calando.follow, write the schedule into its strategy"
        )


def note_driven(optimizer: Optimizer) -> None:
    """Have `refuse_attached` refuse it from now on, and what it wraps."""
    _DRIVEN.update(wrapped(optimizer))
