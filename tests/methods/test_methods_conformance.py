"""What every registered method must do, by the public kit; a new entry of METHODS is tested here by being there."""

import pytest
import torch
from tests.methods.method_cases import case_of

from calando.methods import METHODS
from calando.testing import METHOD_CHECKS

every_method = pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.cuda,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
        ],
    ),
]
on_every_device = pytest.mark.parametrize("device", DEVICES)
ON_DEVICES = ("resuming_from_a_checkpoint_changes_no_bit", "a_net_with_batch_norm_learns_at_the_usual_rate")


@every_method
@pytest.mark.parametrize("check", [name for name in METHOD_CHECKS if name not in ON_DEVICES])
def test_it_passes_the_public_kit(method, check):
    METHOD_CHECKS[check](method, case_of(method), "cpu", torch.float32)


@every_method
@on_every_device
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_resuming_from_a_checkpoint_changes_no_bit(method, device, dtype):
    METHOD_CHECKS["resuming_from_a_checkpoint_changes_no_bit"](method, case_of(method), device, dtype)


@every_method
@on_every_device
def test_a_net_with_batch_norm_learns_at_the_usual_rate(method, device):
    METHOD_CHECKS["a_net_with_batch_norm_learns_at_the_usual_rate"](method, case_of(method), device, torch.float32)
