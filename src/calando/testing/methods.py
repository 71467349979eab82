"""The kit for methods; each check stands alone, by name, in `METHOD_CHECKS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from calando.methods import Method
from calando.testing import method_checks as checks
from calando.testing.training import MethodCase, Trial

__all__ = ["METHOD_CHECKS", "MethodCase", "check_method"]


def check_method(
    method: Method, case: MethodCase | None = None, *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> None:
    """Hold a method against what every method must do: all of `METHOD_CHECKS`.

    Args:
        method: the method.
        case: where it differs, and why.
        device: where the small network that it trains lies.
        dtype: of the network.

    Raises:
        AssertionError: something does not hold; one line says what.

    >>> from calando.methods import find_method
    >>> check_method(find_method("adam"))
    """
    for check in METHOD_CHECKS.values():
        check(method, case or MethodCase(), device, dtype)


def _check(named: Callable[[Trial], None]) -> Callable[[Method, MethodCase, str, torch.dtype], None]:
    return lambda method, case, device, dtype: named(Trial(method, case, device, dtype))


METHOD_CHECKS: Mapping[str, Callable[[Method, MethodCase, str, torch.dtype], None]] = MappingProxyType(
    {
        named.__name__: _check(named)
        for named in (
            checks.the_default_options_are_within_their_ranges,
            checks.wrong_options_are_named,
            checks.groups_have_the_names_that_are_announced,
            checks.resuming_from_a_checkpoint_changes_no_bit,
            checks.a_net_with_batch_norm_learns_at_the_usual_rate,
            checks.a_rate_of_zero_moves_nothing,
            checks.steps_are_proportional_to_each_groups_rate,
            checks.each_group_has_its_own_weight_decay,
            checks.rates_reach_tensors_too,
            checks.zero_gradients_do_no_harm,
            checks.what_has_no_gradient_stays,
            checks.parameters_of_one_dimension_or_none,
            checks.it_keeps_as_many_tensors_as_it_says,
            checks.nothing_is_remembered_outside_state_and_groups,
            checks.evaluation_weights_come_and_go,
            checks.groups_that_the_user_made,
        )
    }
)
"""What is required -> the check: (method, case, device, dtype) -> None."""
