"""Outputs of any form, for classes as for any other target."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

import calando
from calando.errors import UsageError
from calando.testing import check_task


@dataclass
class Object:
    logits: torch.Tensor
    hidden: torch.Tensor | None = None


FORMS = {
    "dict": lambda scores: {"logits": scores},
    "object": lambda scores: Object(scores),
    "one in a tuple": lambda scores: (scores,),
}


class Net(nn.Module):
    def __init__(self, form=None, width=2):
        super().__init__()
        self.form, self.layer = form, nn.Linear(16, width)

    def forward(self, x):
        scores = self.layer(x.flatten(1))
        return scores if self.form is None else FORMS[self.form](scores)


def data(*axes):
    x = torch.randn(60, *axes, generator=torch.Generator().manual_seed(0))
    return x, (x.flatten(1)[:, 0] > 0).long()


@pytest.mark.parametrize("axes", [(16,), (1, 4, 4)], ids=["rows", "images"])
@pytest.mark.parametrize("form", FORMS)
def test_a_network_of_classes_may_give_its_scores_in_any_form(axes, form, tmp_path):
    plain = calando.workload(train=data(*axes), model=lambda: Net(), batch_size=8)
    other = calando.workload(train=data(*axes), model=lambda: Net(form), batch_size=8)
    trained = [
        calando.train(task, "sgd(lr=0.1)", steps=9, device="cpu", folder=tmp_path / str(place))
        for place, task in enumerate((plain, other))
    ]
    assert trained[0].record.losses.tobytes() == trained[1].record.losses.tobytes()
    assert repr(trained[0].record.evaluations) == repr(trained[1].record.evaluations)
    check_task(other)


@pytest.mark.parametrize("width", [1, 3])
def test_scores_of_another_number_of_classes_are_counted_in_the_error(width):
    with pytest.raises(UsageError, match=rf"must give \[N, 2\] scores, and gives \(2, {width}\)"):
        calando.workload(train=data(16), model=lambda: Net(width=width), batch_size=8)
