"""Two writers of a rate: parts of torch's schedulers, next to them, and by hand; torch's own are the oracle."""

import copy
import gc
import itertools
import warnings

import pytest
import torch
from tests.loops.torch_training import groups, sgd, train
from torch.optim import lr_scheduler as torchs

import calando

TOTAL = 6


def our_warmup(optimizer):
    return calando.LRScheduler(optimizer, "linear(0.2, 1)", total_steps=TOTAL)


def their_warmup(optimizer):
    return torchs.LinearLR(optimizer, 0.2, 1.0, total_iters=TOTAL)


def our_decay(optimizer):
    return calando.LRScheduler(optimizer, "cosine(1, 0.01)", total_steps=TOTAL)


def their_decay(optimizer):
    # Of two groups each goes to its own floor with ours, so that it is a lambda here.
    curve = calando.parse("cosine(1, 0.01)").bind(TOTAL)
    return torchs.LambdaLR(optimizer, curve)


PARTS = {"ours": (our_warmup, our_decay), "theirs": (their_warmup, their_decay)}
MIXED = [("ours", "theirs"), ("theirs", "ours"), ("ours", "ours")]


def sequence(optimizer, first, second, *, swapped=False):
    parts = [PARTS[first][0](optimizer), PARTS[second][1](optimizer)]
    if swapped:
        parts = [PARTS[first][1](optimizer), PARTS[second][0](optimizer)]
    return torchs.SequentialLR(optimizer, parts, milestones=[4])


@pytest.mark.parametrize(("first", "second"), MIXED)
@pytest.mark.parametrize("swapped", [False, True], ids=["warmup first", "decay first"])
def test_a_part_of_a_sequence_is_as_torchs_own(first, second, swapped):
    mixed, native = sgd(0.1, 0.02), sgd(0.1, 0.02)
    scheduler = sequence(mixed, first, second, swapped=swapped)
    found = train(mixed, scheduler, steps=10)
    assert found == [
        pytest.approx(one, rel=1e-9)
        for one in train(native, sequence(native, "theirs", "theirs", swapped=swapped), steps=10)
    ]
    assert scheduler.get_last_lr() == [group["lr"] for group in mixed.param_groups]


STEPS = ("build optimizer", "load optimizer", "build scheduler", "load scheduler")
ORDERS = [
    order
    for order in itertools.permutations(STEPS)
    if order.index("build optimizer") < min(order.index("load optimizer"), order.index("build scheduler"))
    and order.index("build scheduler") < order.index("load scheduler")
]


def resume(build, order, saved):
    for step in order:
        match step:
            case "build optimizer":
                optimizer = sgd(0.1, 0.02)
            case "load optimizer":
                optimizer.load_state_dict(copy.deepcopy(saved["optimizer"]))
            case "build scheduler":
                scheduler = build(optimizer)
            case "load scheduler":
                scheduler.load_state_dict(copy.deepcopy(saved["scheduler"]))
    return optimizer, scheduler


@pytest.mark.parametrize(("first", "second"), MIXED)
@pytest.mark.parametrize("order", ORDERS, ids=", ".join)
@pytest.mark.parametrize("at", [0, 3, 4, 8])
def test_a_sequence_is_resumed_in_every_phase(first, second, order, at):
    def build(optimizer):
        return sequence(optimizer, first, second)

    whole = sgd(0.1, 0.02)
    scheduler = build(whole)
    train(whole, scheduler, steps=at)
    saved = copy.deepcopy({"optimizer": whole.state_dict(), "scheduler": scheduler.state_dict()})
    rest = train(whole, scheduler, steps=10 - at)
    optimizer, scheduler = resume(build, order, saved)
    found = train(optimizer, scheduler, steps=10 - at)
    assert found == [pytest.approx(one, rel=1e-9) for one in rest]


def middle(optimizer, ours):
    if ours:
        return calando.LRScheduler(optimizer, "constant(0.5)", total_steps=TOTAL)
    return torchs.LambdaLR(optimizer, lambda step: 0.5)


def parts_of(optimizer, ours):
    first = (our_warmup if ours[0] else their_warmup)(optimizer)
    second = middle(optimizer, ours[1])
    return first, second, (our_decay if ours[2] else their_decay)(optimizer)


def three(optimizer, ours):
    return torchs.SequentialLR(optimizer, [*parts_of(optimizer, ours)], [3, 5])


def nested(optimizer, ours):
    first, second, last = parts_of(optimizer, ours)
    return torchs.SequentialLR(optimizer, [torchs.SequentialLR(optimizer, [first, second], [3]), last], [5])


def chain_first(optimizer, ours):
    first, _, last = parts_of(optimizer, ours)
    chain = torchs.ChainedScheduler([first, torchs.ExponentialLR(optimizer, 0.9)], optimizer)
    return torchs.SequentialLR(optimizer, [chain, last], [5])


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")  # of torch, when it nests
@pytest.mark.parametrize("build", [three, nested, chain_first])
@pytest.mark.parametrize(
    "ours",
    [
        pytest.param(ours, marks=[] if ours[0] == ours[2] else pytest.mark.torture)
        for ours in itertools.product([True, False], repeat=3)
    ],
)
def test_compositions_of_compositions_are_as_torchs_own(build, ours):
    mixed, native = sgd(0.1, 0.02), sgd(0.1, 0.02)
    found = train(mixed, build(mixed, ours), steps=10)
    want = train(native, build(native, [False] * 3), steps=10)
    assert found == [pytest.approx(one, rel=1e-9) for one in want]
    # Without a part of ours torch resumes only where the optimizer is loaded last.
    orders = (ORDERS[0], ORDERS[-1]) if ours[0] or ours[2] else [order for order in ORDERS if order[-1] == STEPS[1]]
    for at in (2, 4, 7):
        whole = sgd(0.1, 0.02)
        scheduler = build(whole, ours)
        train(whole, scheduler, steps=at)
        saved = copy.deepcopy({"optimizer": whole.state_dict(), "scheduler": scheduler.state_dict()})
        rest = train(whole, scheduler, steps=10 - at)
        for order in orders:
            assert train(*resume(lambda o: build(o, ours), order, saved), steps=10 - at) == [
                pytest.approx(one, rel=1e-9) for one in rest
            ]


def pair(optimizer, order):
    """A warmup and an exponential decay, in a chain."""
    makers = {
        "warmup": their_warmup,
        "our warmup": our_warmup,
        "decay": lambda o: torchs.ExponentialLR(o, 0.9),
        "our decay": lambda o: calando.LRScheduler(o, "exponential(1, 0.9)", total_steps=1),
    }
    return [makers[name](optimizer) for name in order]


CHAINS = [
    ("our warmup", "decay"),
    ("decay", "our warmup"),
]


@pytest.mark.parametrize("order", CHAINS, ids=" then ".join)
@pytest.mark.parametrize("tensor", [False, True])
@pytest.mark.parametrize("in_chain", [True, False], ids=["chained", "each stepped by itself"])
def test_next_to_a_scheduler_of_torchs_the_rates_multiply(order, tensor, in_chain):
    rates = [torch.tensor(rate, dtype=torch.float64) if tensor else rate for rate in (0.1, 0.02)]
    mixed = torch.optim.SGD([{**g, "lr": rate} for g, rate in zip(groups(1, 1), rates, strict=True)], lr=1.0)
    parts = pair(mixed, order)
    chain = torchs.ChainedScheduler(parts, mixed)
    native = sgd(0.1, 0.02)
    oracle = torchs.ChainedScheduler(pair(native, [name.removeprefix("our ") for name in order]), native)
    for _ in range(10):
        want = [group["lr"] for group in native.param_groups]
        assert [float(group["lr"]) for group in mixed.param_groups] == pytest.approx(want, rel=1e-9)
        for optimizer in (native, mixed):
            optimizer.step()
        oracle.step()
        for each in [chain] if in_chain else parts:
            each.step()


@pytest.mark.parametrize("order", CHAINS, ids=" then ".join)
@pytest.mark.parametrize("loaded", ["optimizer first", "scheduler first"])
@pytest.mark.parametrize("at", [1, 3, 7])
def test_a_chain_is_resumed(order, loaded, at):
    whole = sgd(0.1, 0.02)
    scheduler = torchs.ChainedScheduler(pair(whole, order), whole)
    train(whole, scheduler, steps=at)
    saved = copy.deepcopy({"optimizer": whole.state_dict(), "scheduler": scheduler.state_dict()})
    rest = train(whole, scheduler, steps=10 - at)
    optimizer = sgd(0.1, 0.02)
    scheduler = torchs.ChainedScheduler(pair(optimizer, order), optimizer)
    for which in [("optimizer", optimizer), ("scheduler", scheduler)][:: 1 if loaded == "optimizer first" else -1]:
        which[1].load_state_dict(saved[which[0]])
    assert train(optimizer, scheduler, steps=10 - at) == [pytest.approx(one, rel=1e-9) for one in rest]


def test_a_plateau_next_to_a_schedule_cuts_it():
    optimizer = sgd(0.1)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=10)
    plateau = torchs.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    used = []
    for step in range(8):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
        plateau.step(1.0 if step in (3, 4) else -float(step))
    cut = [1, 1, 1, 1, 0.5, 0.25, 0.25, 0.25]
    assert used == [pytest.approx(0.1 * (1 - step / 10) * factor) for step, factor in enumerate(cut)]


KINDS = [calando.attach, calando.LRScheduler]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["lr", "momentum"])
@pytest.mark.parametrize("tensor", [False, True])
def test_what_is_set_by_hand_is_written_over_and_said_once(kind, index, key, tensor):
    optimizer = sgd(0.1, 0.2)
    if tensor:
        for group in optimizer.param_groups:
            group.update(lr=torch.tensor(group["lr"]), momentum=torch.tensor(0.9))
    follower = kind(optimizer, "linear(1, 0)", total_steps=10, hyper_parameters={"momentum": "linear(1, 0)"})

    def update():
        optimizer.step()
        if kind is calando.LRScheduler:
            follower.step()

    update()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            value = torch.tensor(0.007) if tensor else 0.007
            optimizer.param_groups[index][key] = value
            update()
    said = [str(one.message) for one in caught]
    assert len(said) == 1
    assert f"something else set {key} of group {index} to 0.007 where the schedule had set " in said[0]
    update()
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    last = 4 if kind is calando.attach else 5
    assert rates == pytest.approx([0.1 * (1 - last / 10), 0.2 * (1 - last / 10)])


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", ["ours", "attached", "theirs"])
def test_a_second_scheduler_starts_from_the_rate_that_was_set_by_hand(first, second):
    optimizer = sgd(0.1, 0.2)
    match first:
        case "ours":
            earlier = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=10)
            train(optimizer, earlier, steps=5)
        case "attached":
            earlier = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
            for _ in range(5):
                optimizer.step()
            earlier.detach()
        case "theirs":
            earlier = torchs.LinearLR(optimizer, 1.0, 0.1, total_iters=10)
            train(optimizer, earlier, steps=5)
    optimizer.param_groups[0]["lr"] = 0.01
    with pytest.warns(UserWarning, match="lr of group 0 was set to 0.01 since a scheduler wrote it: that is its base"):
        follower = second(optimizer, "linear(1, 0.5)", total_steps=10)
    kept = 0.2 if first != "theirs" or second is calando.attach else 0.2 * 0.55
    assert follower.get_last_lr() == [0.01, pytest.approx(kept)]
    optimizer.step()
    assert optimizer.param_groups[0]["lr"] == 0.01
    del earlier


@pytest.mark.parametrize("second", KINDS)
def test_where_nothing_tells_whose_rate_it_is_the_first_update_says_so(second):
    optimizer = sgd(0.1)
    scheduler = torchs.ExponentialLR(optimizer, 0.5)
    del scheduler
    gc.collect()
    optimizer.param_groups[0]["lr"] = 0.01
    follower = second(optimizer, "linear(1, 0.5)", total_steps=10)
    update = optimizer.step if second is calando.attach else follower.step
    with pytest.warns(UserWarning, match=r"group 0 held lr=0.01 and 'initial_lr'=0.1 .* delete 'initial_lr'"):
        update()
    other = sgd(0.01)  # as the message says
    assert second(other, "linear(1, 0.5)", total_steps=10).get_last_lr() == [0.01]


def test_a_scheduler_that_waits_for_its_turn_is_saved_and_loaded():
    def build():
        optimizer = sgd(0.1)
        parts = [their_warmup(optimizer), our_decay(optimizer)]
        return optimizer, torchs.SequentialLR(optimizer, parts, milestones=[4])

    optimizer, scheduler = build()
    state = scheduler.state_dict()
    assert state["_schedulers"][1]["last_epoch"] == -1
    fresh, again = build()
    again.load_state_dict(copy.deepcopy(state))
    assert train(fresh, again, steps=9) == train(optimizer, scheduler, steps=9)


def test_a_strategy_says_once_that_something_else_writes_its_rate():
    network = torch.nn.Linear(2, 1)
    training = calando.follow(network, "sgd(lr=0.1) | linear(1, 0)", total_steps=10)
    scheduler = torchs.ExponentialLR(training.optimizer, 0.5)
    said = []
    for step in range(4):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            training.optimizer.step()
        said += [str(one.message) for one in caught]
        assert training.get_last_lr()[0] == pytest.approx(0.1 * (1 - step / 10))
        scheduler.step()
    assert len(said) == 1
    assert "something else set lr of group" in said[0]
