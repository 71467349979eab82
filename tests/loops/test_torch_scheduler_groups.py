"""`LRScheduler` with a schedule for each group, and for more than the rate: momenta, betas, weight decay."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.loops.torch_training import TEXT, groups, named, sgd, train

import calando
from calando.errors import UsageError


def test_a_group_added_later_joins_in():
    optimizer = sgd(0.1)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=10)
    train(optimizer, scheduler, steps=4)
    optimizer.add_param_group(groups(0.5)[0])
    scheduler.step()
    assert scheduler.get_last_lr() == [0.05, 0.25]
    assert scheduler.base_lrs == [0.1, 0.5]


@given(
    st.sampled_from(["momentum", "weight_decay", "dampening"]),
    st.lists(st.floats(0.01, 0.9), min_size=2, max_size=3),
    st.integers(1, 30),
)
def test_any_number_of_a_group_follows_a_schedule_of_its_own_base(key, bases, total):
    optimizer = torch.optim.SGD([{**groups(0.1)[0], key: base} for base in bases], momentum=0.5, weight_decay=0.1)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=total, hyper_parameters={key: TEXT})
    curve = calando.parse(TEXT).bind(total)
    for step in range(total):
        assert scheduler.get_last_lr() == pytest.approx([0.1 * (1 - step / total)] * len(bases), rel=1e-12)
        assert [group[key] for group in optimizer.param_groups] == [base * curve(step) for base in bases]
        assert [group[f"initial_{key}"] for group in optimizer.param_groups] == bases
        train(optimizer, scheduler, steps=1)


@pytest.mark.parametrize("tensor", [False, True])
def test_betas_are_scheduled_by_element_and_the_other_stays(tensor):
    number = (lambda value: torch.tensor(value, dtype=torch.float64)) if tensor else float
    optimizer = torch.optim.Adam(groups(0.1, 0.2), lr=number(0.1), betas=(number(0.8), number(0.99)))
    held = [group["betas"] for group in optimizer.param_groups]
    scheduler = calando.LRScheduler(
        optimizer, "constant(1)", total_steps=10, hyper_parameters={"beta1": "linear(1, 0.5)"}
    )
    train(optimizer, scheduler, steps=4)
    assert [tuple(map(float, group["betas"])) for group in optimizer.param_groups] == [(0.8 * 0.8, 0.99)] * 2
    assert not tensor or held[0][0] is optimizer.param_groups[0]["betas"][0]


def test_groups_follow_their_own_schedules_by_name_or_index():
    body, head = groups(0.1, 0.2)
    optimizer = torch.optim.SGD([{**body, "name": "body"}, head, groups(0.3)[0]])
    text = "per_group({'body': linear(1, 0), '1': 0.5}, others=linear(0, 1))"
    scheduler = calando.LRScheduler(optimizer, text, total_steps=10)
    assert train(optimizer, scheduler, steps=5)[4] == [0.1 * 0.6, 0.2 * 0.5, 0.3 * 0.4]


@pytest.mark.parametrize(
    ("schedule", "hyper_parameters", "message"),
    [
        ("per_group({'haed': 1}, others=0.1)", {}, "parameter group in the schedule of lr 'haed'; did you mean 'head'"),
        ("per_group({'head': 1})", {}, "no schedule for group 'body'"),
        ("constant(1)", {"momentum": "per_group({'nose': 1}, others=1)"}, "schedule of momentum 'nose'.*body, head"),
        ("constant(1)", {"momentom": "constant(1)"}, "cannot schedule 'momentom'"),
        ("constant(1)", {"nesterov": "constant(1)"}, "cannot schedule 'nesterov': it is False in group 0"),
        ("constant(1)", {"beta1": "constant(1)"}, "cannot schedule 'beta1'"),
        ("constant(1)", {"lr": "constant(1)"}, "the rate's schedule is the second argument"),
        ("constant(1)", {"momentum": 0.9}, "schedule of momentum must be a schedule or its text, got 0.9"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_and_changes_nothing(schedule, hyper_parameters, message):
    optimizer = named(1.0)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(UsageError, match=message):
        calando.LRScheduler(optimizer, schedule, total_steps=10, hyper_parameters=hyper_parameters)
    assert optimizer.state_dict() == before


def test_one_tensor_given_for_all_groups_does_not_make_them_one():
    """torch puts the same tensor into every group; written in place, the last group's rate would be everybody's."""
    rate = torch.tensor(0.1, dtype=torch.float64)
    optimizer = torch.optim.SGD([{"params": group["params"]} for group in groups(1, 1)], lr=rate)
    assert optimizer.param_groups[0]["lr"] is optimizer.param_groups[1]["lr"] is rate
    scheduler = calando.LRScheduler(optimizer, "per_group({'0': 1}, others=0.5)", total_steps=10)
    assert scheduler.get_last_lr() == [0.1, 0.05]
    assert optimizer.param_groups[0]["lr"] is rate


def test_base_rates_may_be_set():
    scheduler = calando.LRScheduler(sgd(0.1, 0.01), "linear(1, 0)", total_steps=10)
    scheduler.step(5)
    scheduler.base_lrs = [1.0, torch.tensor(2.0)]
    assert (scheduler.get_last_lr(), scheduler.base_lrs) == ([0.5, 1.0], [1.0, 2.0])
    with pytest.raises(UsageError, match="got 1 for 2"):
        scheduler.base_lrs = [1.0]


def test_lint_compares_the_groups_of_this_optimizer():
    flattening = "cosine(1, 0.1) * per_group({'body': 0.1, 'head': 1})"
    scheduler = calando.LRScheduler(named(1.0), flattening, total_steps=10)
    assert [finding.name for finding in scheduler.lint()] == ["groups-flattened"]
    assert "from 0.01 to 0.1" in scheduler.lint()[0].message
    assert calando.LRScheduler(named(1.0), "cosine(1, 0.1)", total_steps=10).lint() == []


@pytest.mark.parametrize(("text", "found"), [("linear(0.9, 0.8)", ["momentum-overwritten"]), ("linear(1, 0.8)", [])])
def test_lint_knows_which_momentum_is_never_used(text, found):
    scheduler = calando.LRScheduler(named(1.0), "cosine(1, 0)", total_steps=100, hyper_parameters={"momentum": text})
    assert [finding.name for finding in scheduler.lint()] == found
    assert all(finding.message.startswith("momentum: ") for finding in scheduler.lint())
