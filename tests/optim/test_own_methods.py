"""Our own optimizers are their papers' formulas, go on to the bit from what they saved, and leave alone what they must.

The formulas are written anew here, over one vector or by another way than the optimizers work.
"""

import json
import math
from dataclasses import dataclass

import pytest
import safetensors.torch
import torch

from calando.errors import UsageError
from calando.optim.driver import Driver
from calando.optim.methods.own.dog import DoG, LDoG
from calando.optim.methods.own.hypergradient import SGDHD, AdamHD
from calando.optim.methods.own.memory import common, numbers
from calando.optim.methods.own.momo import MoMo, MoMoAdam
from calando.optim.methods.own_methods import OWN_METHODS
from calando.schedules import linear
from calando.schedules.span import Horizon

SHAPES = ((3, 4), (4,), (2, 3, 1, 1), (1,))
STEPS = 12
METHODS = {method.name: method for method in OWN_METHODS}


@dataclass
class Course:
    """Gradients and losses of a made-up training: gradients[step][parameter]."""

    gradients: list[list[torch.Tensor | None]]
    losses: list[float]


def weights(seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)) for shape in SHAPES
    ]


def course(seed=1, steps=STEPS, dtype=torch.float64):
    """Gradients share a direction, as training's do."""
    generator = torch.Generator().manual_seed(seed)
    lean = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]
    gradients = [
        [(way + torch.randn(way.shape, generator=generator, dtype=torch.float64)).to(dtype) for way in lean]
        for _ in range(steps)
    ]
    return Course(gradients, (torch.rand(steps, generator=generator, dtype=torch.float64) * 5).tolist())


def train(optimizer, parameters, made_up, *, rates=None, start=0, stop=None):
    """`rates[step]`: a multiplier of each group's rate at the start."""
    bases = [group.setdefault("given", float(group["lr"])) for group in optimizer.param_groups]
    for step in range(start, len(made_up.losses) if stop is None else stop):
        for group, base in zip(optimizer.param_groups, bases, strict=True):
            group["lr"] = base * (rates[step] if rates else 1.0)
        for parameter, gradient in zip(parameters, made_up.gradients[step], strict=True):
            parameter.grad = None if gradient is None else gradient.clone()
        loss = made_up.losses[step]
        optimizer.step(lambda loss=loss: loss)
    return parameters


def build(name, groups, *, lr=None, **options):
    method = METHODS[name]
    return method.build(groups, method.usual_rate if lr is None else lr, method.settle(options))


def in_two_groups(parameters, *, decays=(0.02, 0.0), rates=(None, None)):
    groups = [
        {"name": "decay", "params": [p for p in parameters if p.ndim >= 2], "weight_decay": decays[0]},
        {"name": "no_decay", "params": [p for p in parameters if p.ndim < 2], "weight_decay": decays[1]},
    ]
    return [group | ({} if rate is None else {"lr": rate}) for group, rate in zip(groups, rates, strict=True)]


def flat(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def assert_same(found, wanted):
    scale = flat(wanted).abs().max()
    assert (flat(found) - flat(wanted)).abs().max() <= 1e-12 * scale


def assert_equal(found, wanted):
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


# MoMo


def momo_by_bisection(parameters, made_up, *, rates, decays, adam, beta=0.9, beta2=0.999, eps=1e-8, bound=0.0):
    """The multiplier of the model in [0, 1/rho] for which the minimiser's model value meets the bound, by bisection."""
    xs = [p.detach().clone() for p in parameters]
    d = [torch.zeros_like(x) for x in xs]
    v = [torch.zeros_like(x) for x in xs]
    f = gamma = 0.0
    for t, (gs, loss) in enumerate(zip(made_up.gradients, made_up.losses, strict=True), start=1):
        now = sum(float((g * x).sum()) for g, x in zip(gs, xs, strict=True))
        if t == 1 and not adam:
            d, f, gamma = [g.clone() for g in gs], loss, now
        d = [beta * a + (1 - beta) * g for a, g in zip(d, gs, strict=True)]
        v = [beta2 * a + (1 - beta2) * g * g for a, g in zip(v, gs, strict=True)]
        f, gamma = beta * f + (1 - beta) * loss, beta * gamma + (1 - beta) * now
        rho = 1 - beta**t if adam else 1.0
        scale = [(b / (1 - beta2**t)).sqrt() + eps if adam else torch.ones_like(b) for b in v]

        def minimiser(s, xs=xs, d=d, scale=scale):
            parts = zip(xs, d, scale, rates, decays, strict=True)
            return [(x - s * rate * a / b) / (1 + rate * decay) for x, a, b, rate, decay in parts]

        def model(s, d=d, f=f, gamma=gamma, minimiser=minimiser):
            return f - gamma + sum(float((a * y).sum()) for a, y in zip(d, minimiser(s), strict=True))

        low, high = 0.0, 1 / rho
        if model(high) >= rho * bound:
            low = high
        elif model(low) <= rho * bound:
            high = low
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if model(middle) > rho * bound else (low, middle)
        xs = minimiser(low)
    return xs


@pytest.mark.parametrize("adam", [False, True])
@pytest.mark.parametrize("lr", [0.001, 0.1, 3.0])
@pytest.mark.parametrize("bound", [0.0, 1.5])
def test_momo_minimises_its_model_over_groups_with_rates_and_decays_of_their_own(adam, lr, bound):
    parameters = weights()
    groups = in_two_groups(parameters, decays=(0.02, 0.1), rates=(lr, lr / 3))
    optimizer = build("momo_adam" if adam else "momo", groups, lr=lr, lower_bound=bound)
    of_parameters = [(lr, 0.02) if p.ndim >= 2 else (lr / 3, 0.1) for p in parameters]
    rates, decays = zip(*of_parameters, strict=True)
    wanted = momo_by_bisection(parameters, course(), rates=rates, decays=decays, adam=adam, bound=bound)
    assert_same(train(optimizer, parameters, course()), wanted)


def authors_momo(parameters, made_up, *, lr, decay, beta=0.9):
    """The authors' step size, for one vector."""
    x, d, f, gamma = flat(parameters), None, 0.0, 0.0
    for gs, loss in zip(made_up.gradients, made_up.losses, strict=True):
        g = flat(gs)
        if d is None:
            d, f, gamma = g.clone(), loss, float(g @ x)
        d, f, gamma = beta * d + (1 - beta) * g, beta * f + (1 - beta) * loss, beta * gamma + (1 - beta) * float(g @ x)
        c = 1 + lr * decay
        x = (x - min(lr, max(0.0, c * (f - gamma) + float(d @ x)) / float(d @ d)) * d) / c
    return [x]


def authors_momo_adam(parameters, made_up, *, lr, decay, beta=0.9, beta2=0.999, eps=1e-8):
    x, d, v, f, gamma = flat(parameters), 0.0, 0.0, 0.0, 0.0
    for t, (gs, loss) in enumerate(zip(made_up.gradients, made_up.losses, strict=True), start=1):
        g = flat(gs)
        d, v = beta * d + (1 - beta) * g, beta2 * v + (1 - beta2) * g**2
        f, gamma = beta * f + (1 - beta) * loss, beta * gamma + (1 - beta) * float(g @ x)
        scale, c, rho = (v / (1 - beta2**t)).sqrt() + eps, 1 + lr * decay, 1 - beta**t
        tau = min(lr / rho, max(0.0, c * (f - gamma) + float(d @ x)) / float(d @ (d / scale)))
        x = (x - tau * d / scale) / c
    return [x]


@pytest.mark.parametrize(("name", "authors"), [("momo", authors_momo), ("momo_adam", authors_momo_adam)])
@pytest.mark.parametrize("lr", [0.01, 0.3, 10.0])
@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_momo_with_one_rate_and_decay_is_the_authors_rule(name, authors, lr, decay):
    parameters = weights()
    wanted = authors(parameters, course(), lr=lr, decay=decay)
    assert_same(train(build(name, parameters, lr=lr, weight_decay=decay), parameters, course()), wanted)


@pytest.mark.parametrize("name", ["momo", "momo_adam"])
def test_momo_needs_the_loss_and_one_momentum(name):
    parameters = weights()
    optimizer = build(name, in_two_groups(parameters))
    with pytest.raises(UsageError, match="needs the loss"):
        optimizer.step()
    key = "momentum" if name == "momo" else "betas"
    optimizer.param_groups[1][key] = 0.5 if name == "momo" else (0.5, 0.999)
    with pytest.raises(UsageError, match=f"same {key} in all parameter groups"):
        optimizer.step(lambda: 1.0)


@pytest.mark.parametrize("name", ["momo", "momo_adam"])
def test_momo_stays_where_the_model_is_at_its_bound(name):
    parameters = weights()
    before = flat(parameters).clone()
    made_up = course(steps=3)
    made_up.losses = [-100.0] * 3
    train(build(name, parameters), parameters, made_up)
    assert torch.equal(flat(parameters), before)


# DoG


def reference_dog(vectors, gradients, *, reps_rel, eps, decays, gamma):
    """Of one block of vectors: weights and average."""
    x, decay = torch.cat(vectors), torch.cat([torch.full_like(v, w) for v, w in zip(vectors, decays, strict=True)])
    start, average, total = x.clone(), x.clone(), eps
    distance = reps_rel * (1 + float(start.norm()))
    for t, gs in enumerate(gradients, start=1):
        g = torch.cat(gs) + decay * x
        distance, total = max(distance, float((x - start).norm())), total + float(g @ g)
        x = x - distance / math.sqrt(total) * g
        weight = (1 + gamma) / (t + gamma)
        average = (1 - weight) * average + weight * x
    return x, average


def evaluated(optimizer, parameters):
    optimizer.eval()
    found = [p.detach().clone() for p in parameters]
    optimizer.train()
    return found


@pytest.mark.parametrize("gamma", [0.0, 8.0])
@pytest.mark.parametrize("reps_rel", [1e-6, 1e-2])
def test_dog_is_the_papers_rule_over_all_groups_as_one_vector(gamma, reps_rel):
    parameters, made_up = weights(), course(steps=40)
    decays = [0.02 if p.ndim >= 2 else 0.0 for p in parameters]
    gradients = [[g.flatten() for g in gs] for gs in made_up.gradients]
    vectors = [p.detach().flatten().clone() for p in parameters]
    optimizer = build("dog", in_two_groups(parameters), gamma=gamma, reps_rel=reps_rel)
    train(optimizer, parameters, made_up)
    x, average = reference_dog(vectors, gradients, reps_rel=reps_rel, eps=1e-8, decays=decays, gamma=gamma)
    assert_same(parameters, [x])
    assert_same(evaluated(optimizer, parameters), [average])


def test_ldog_is_the_papers_rule_for_each_tensor():
    parameters, made_up = weights(), course(steps=40)
    vectors = [p.detach().flatten().clone() for p in parameters]
    optimizer = build("ldog", in_two_groups(parameters), reps_rel=1e-3)
    train(optimizer, parameters, made_up)
    averages = evaluated(optimizer, parameters)
    for i, (parameter, vector) in enumerate(zip(parameters, vectors, strict=True)):
        gradients = [[gs[i].flatten()] for gs in made_up.gradients]
        decay = 0.02 if parameter.ndim >= 2 else 0.0
        x, average = reference_dog([vector], gradients, reps_rel=1e-3, eps=1e-8, decays=[decay], gamma=8.0)
        assert_same([parameter], [x])
        assert_same([averages[i]], [average])


def test_dog_does_not_depend_on_how_parameters_are_grouped():
    one, two = weights(), weights()
    train(build("dog", one), one, course())
    train(build("dog", in_two_groups(two, decays=(0.0, 0.0))), two, course())
    assert_equal(one, two)


@pytest.mark.parametrize("name", ["dog", "ldog"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_evaluation_mode_puts_the_average_in_and_gives_the_bits_back(name, dtype):
    parameters = weights(dtype=dtype)
    optimizer = build(name, parameters, reps_rel=0.1)
    optimizer.eval()
    optimizer.train()  # before any update there is nothing to average
    train(optimizer, parameters, course(dtype=dtype))
    before = [p.detach().clone() for p in parameters]
    optimizer.eval()
    within = [p.detach().clone() for p in parameters]
    assert not any(torch.equal(a, b) for a, b in zip(before[:1], within[:1], strict=True))
    optimizer.eval()  # twice is once
    assert_equal(parameters, within)
    with pytest.raises(UsageError, match=r"call optimizer\.train\(\)"):
        optimizer.step()
    optimizer.train()
    optimizer.train()
    assert_equal(parameters, before)


# Hypergradient descent


def reference_sgd_hd(parameters, made_up, *, lr, beta, momentum, nesterov, decays):
    """The paper's additive rule for the rate itself; weights, and the last rate."""
    x, rate = flat(parameters), lr
    decay = torch.cat([torch.full((p.numel(),), w, dtype=x.dtype) for p, w in zip(parameters, decays, strict=True)])
    buffer, last = torch.zeros_like(x), torch.zeros_like(x)
    for gs in made_up.gradients:
        g = flat(gs) + decay * x
        rate = max(0.0, rate + beta * float(g @ last))
        buffer = momentum * buffer + g
        last = g + momentum * buffer if nesterov else buffer
        x = x - rate * last
    return x, rate


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
@pytest.mark.parametrize("beta", [0.0, 1e-4, -3e-3])
def test_sgd_hd_at_a_constant_rate_is_the_papers_rule(momentum, nesterov, beta):
    parameters = weights()
    decays = [0.02 if p.ndim >= 2 else 0.0 for p in parameters]
    wanted, rate = reference_sgd_hd(
        parameters, course(), lr=0.01, beta=beta, momentum=momentum, nesterov=nesterov, decays=decays
    )
    optimizer = SGDHD(in_two_groups(parameters), lr=0.01, momentum=momentum, nesterov=nesterov, hypergrad_lr=beta)
    train(optimizer, parameters, course())
    assert_same(parameters, [wanted])
    assert 0.01 * optimizer.param_groups[0]["factor"] == pytest.approx(rate, rel=1e-12)
    assert (rate == 0) == (beta < 0), "a rate that would fall below zero stays there"


@pytest.mark.parametrize("hypergrad_lr", [1e-8, 1e-4])
def test_adam_hd_at_a_constant_rate_is_the_papers_rule(hypergrad_lr):
    parameters = weights()
    x, rate, m, v, u = flat(parameters), 0.01, 0.0, 0.0, None
    for t, gs in enumerate(course().gradients, start=1):
        g = flat(gs) + 0.02 * x
        rate += hypergrad_lr * float(g @ u) if u is not None else 0.0
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        u = m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
        x = x - rate * u
    optimizer = AdamHD(in_two_groups(parameters, decays=(0.02, 0.02)), lr=0.01, hypergrad_lr=hypergrad_lr)
    train(optimizer, parameters, course())
    assert_same(parameters, [x])
    assert 0.01 * optimizer.param_groups[0]["factor"] == pytest.approx(rate, rel=1e-12)


def test_the_factor_descends_along_its_own_gradient_under_a_schedule():
    """Held against autograd: the derivative of the loss at the next weights by the factor that led there."""
    rates, base = [1.0, 0.5, 2.0, 0.0, 0.25], 0.1
    target = torch.arange(4, dtype=torch.float64)
    curvature = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)

    def loss_at(x):
        return (curvature * (x - target) ** 2).sum() / 2

    x, factor, last = torch.zeros(4, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64), None
    parameter = torch.nn.Parameter(x.clone())
    optimizer = SGDHD([parameter], lr=base, hypergrad_lr=1e-3)
    for multiplier in rates:
        if last is not None:
            (slope,) = torch.autograd.grad(loss_at(last(factor)), factor)
            factor = (factor - 1e-3 / base**2 * slope).detach()
        factor.requires_grad_()
        direction = curvature * (x - target)

        def last(factor, x=x, rate=base * multiplier, u=direction):
            return x - rate * factor * u

        x = last(factor).detach()

        optimizer.zero_grad()
        loss_at(parameter).backward()
        optimizer.param_groups[0]["lr"] = base * multiplier
        optimizer.step()
        assert_same([parameter], [x])
        assert optimizer.param_groups[0]["factor"] == pytest.approx(factor.item(), rel=1e-12)
    assert factor.item() > 1


@pytest.mark.parametrize("make", [SGDHD, AdamHD])
def test_a_factor_needs_a_rate_to_multiply(make):
    with pytest.raises(UsageError, match="lr must be above 0, got 0"):
        make(weights(), lr=0)


# What holds for all


@pytest.fixture(params=list(METHODS))
def name(request):
    return request.param


def through_files(saved):
    """As a checkpoint keeps it: tensors as safetensors, everything else as JSON."""
    tensors = {f"{i}.{k}": v for i, entry in saved["state"].items() for k, v in entry.items() if torch.is_tensor(v)}
    plain = [[i, {k: v for k, v in entry.items() if not torch.is_tensor(v)}] for i, entry in saved["state"].items()]
    state = {i: dict(entry) for i, entry in json.loads(json.dumps(plain))}
    for key, value in safetensors.torch.load(safetensors.torch.save(tensors)).items():
        index, key = key.split(".")
        state[int(index)][key] = value
    groups = json.loads(json.dumps(saved["param_groups"]))
    return {
        "state": state,
        "param_groups": [g | ({"betas": tuple(g["betas"])} if "betas" in g else {}) for g in groups],
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("stop", [1, 5])
def test_goes_on_to_the_bit_from_what_it_saved(name, dtype, stop):
    rates = torch.linspace(1, 0, STEPS).tolist()
    made_up, whole = course(dtype=dtype), weights(dtype=dtype)
    optimizer = build(name, in_two_groups(whole), lr=0.1)
    train(optimizer, whole, made_up, rates=rates)
    parts = weights(dtype=dtype)
    first = build(name, in_two_groups(parts), lr=0.1)
    train(first, parts, made_up, rates=rates, stop=stop)
    again = [torch.nn.Parameter(p.detach().clone()) for p in parts]
    second = build(name, in_two_groups(again), lr=0.1)
    second.load_state_dict(through_files(first.state_dict()))
    train(second, again, made_up, rates=rates, start=stop)
    assert all(torch.isfinite(p).all() for p in whole)
    assert_equal(again, whole)
    assert_equal(states(second, again), states(optimizer, whole))
    assert [plain(g) for g in second.param_groups] == [plain(g) for g in optimizer.param_groups]


def states(optimizer, parameters):
    return [v for p in parameters for _, v in sorted(optimizer.state[p].items()) if torch.is_tensor(v)]


def plain(group):
    return {key: value for key, value in group.items() if key != "params"}


def test_all_that_changes_is_in_state_and_groups(name):
    parameters = weights()
    optimizer = build(name, parameters)
    before = {key: value for key, value in vars(optimizer).items() if key not in ("state", "param_groups")}
    shown = repr(before)
    train(optimizer, parameters, course())
    after = {key: value for key, value in vars(optimizer).items() if key not in ("state", "param_groups")}
    assert after.keys() - before.keys() <= {"_opt_called"}
    assert repr({key: after[key] for key in before}) == shown


def test_memory_is_what_the_method_states(name):
    parameters = weights()
    optimizer = build(name, parameters, **({"momentum": 0.9} if name == "sgd_hd" else {}))
    train(optimizer, parameters, course())
    for parameter in parameters:
        held = [v for v in optimizer.state[parameter].values() if torch.is_tensor(v)]
        assert len(held) == METHODS[name].memory
        assert all(v.shape == parameter.shape for v in held)


def test_a_parameter_without_a_gradient_stays_to_the_bit_and_the_others_go_on(name):
    parameters, made_up = weights(), course()
    for gradients in made_up.gradients:
        gradients[2] = None
    before = parameters[2].detach().clone()
    optimizer = build(name, in_two_groups(parameters))
    train(optimizer, parameters, made_up)
    assert torch.equal(parameters[2], before)
    assert parameters[2] not in optimizer.state
    if name == "dog":
        return  # the length of the whole vector at the start counts
    alone = [p for place, p in enumerate(weights()) if place != 2]
    made_up.gradients = [[g for place, g in enumerate(gs) if place != 2] for gs in made_up.gradients]
    train(build(name, in_two_groups(alone)), alone, made_up)
    assert_equal([p for place, p in enumerate(parameters) if place != 2], alone)


def test_a_gradient_that_comes_late_or_goes_is_taken(name):
    parameters, made_up = weights(), course()
    late, gone = parameters[0].detach().clone(), None
    for step, gradients in enumerate(made_up.gradients):
        gradients[0] = gradients[0] if step >= 4 else None
        gradients[1] = gradients[1] if step < 8 else None
    optimizer = build(name, in_two_groups(parameters), lr=0.1)
    train(optimizer, parameters, made_up, stop=4)
    assert torch.equal(parameters[0], late)
    train(optimizer, parameters, made_up, start=4, stop=8)
    assert not torch.equal(parameters[0], late)
    gone = parameters[1].detach().clone()
    train(optimizer, parameters, made_up, start=8)
    assert torch.equal(parameters[1], gone)
    assert all(torch.isfinite(p).all() for p in parameters)


def test_frozen_parameters_are_left_alone(name):
    parameters = weights()
    parameters[0].requires_grad_(False)
    before = parameters[0].detach().clone()
    optimizer = build(name, in_two_groups(parameters))
    for _ in range(3):
        optimizer.zero_grad()
        loss = sum((p**2).sum() for p in parameters)
        loss.backward()
        optimizer.step(lambda loss=loss: loss)
    assert torch.equal(parameters[0], before)
    assert not torch.equal(parameters[1], weights()[1])


@pytest.mark.parametrize("zeros", [range(STEPS), range(3, STEPS), range(3)])
def test_zero_gradients_move_nothing_by_themselves(name, zeros):
    parameters, made_up = weights(), course()
    for step in zeros:
        made_up.gradients[step] = [torch.zeros_like(g) for g in made_up.gradients[step]]
    optimizer = build(name, parameters, lr=0.1)
    train(optimizer, parameters, made_up)
    assert all(torch.isfinite(p).all() for p in parameters)
    if len(zeros) == STEPS:
        assert_equal(parameters, weights())


def test_no_rate_no_movement(name):
    """The driver's rate is the one that counts: nothing moves where it is zero, nothing jumps after it."""
    parameters = weights()
    optimizer = build(name, in_two_groups(parameters), lr=0.1)
    train(optimizer, parameters, course(), rates=[0.0] * STEPS)
    assert_equal(parameters, weights())
    train(optimizer, parameters, course(), rates=[1.0] * STEPS)
    assert all(torch.isfinite(p).all() and not torch.equal(p, q) for p, q in zip(parameters, weights(), strict=True))


def test_the_driver_writes_and_the_method_reads(name):
    made_up, by_hand, driven, in_tensors = course(), weights(), weights(), weights()
    rates = [1 - step / STEPS for step in range(STEPS)]
    train(build(name, in_two_groups(by_hand), lr=0.1), by_hand, made_up, rates=rates)
    for parameters in (driven, in_tensors):
        optimizer = build(name, in_two_groups(parameters), lr=0.1)
        if parameters is in_tensors:
            for group in optimizer.param_groups:
                group["lr"] = torch.tensor(group["lr"], dtype=torch.float64)
        driver = Driver(optimizer, schedules={"lr": linear(1, 0)}, horizon=Horizon(STEPS))
        for step in range(STEPS):
            driver.write(step)
            for parameter, gradient in zip(parameters, made_up.gradients[step], strict=True):
                parameter.grad = gradient.clone()
            optimizer.step(lambda step=step: torch.tensor(made_up.losses[step], dtype=torch.float64))
        assert_same(parameters, by_hand)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * rates[-1])


def test_memory_layout_makes_no_difference(name):
    """Convolution filters lie channels-last on some lanes, and gradients may lie otherwise."""
    plain_ones = [torch.nn.Parameter(torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0)))]
    laid = [torch.nn.Parameter(plain_ones[0].detach().clone(memory_format=torch.channels_last))]
    gradients = [[torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(i + 1))] for i in range(5)]
    made_up = Course(gradients, [1.0] * 5)
    train(build(name, plain_ones, lr=0.1), plain_ones, made_up)
    train(build(name, laid, lr=0.1), laid, made_up)
    assert torch.allclose(laid[0], plain_ones[0], rtol=1e-6, atol=1e-7)


def test_bfloat16_weights_keep_a_wide_memory(name):
    parameters = weights(dtype=torch.bfloat16)
    optimizer = build(name, parameters, lr=0.1)
    train(optimizer, parameters, course(dtype=torch.bfloat16))
    assert all(value.dtype == torch.float32 for value in states(optimizer, parameters))
    assert all(p.dtype == torch.bfloat16 and torch.isfinite(p).all() for p in parameters)


def test_takes_a_network_as_the_loop_gives_it_and_lowers_its_loss(name):
    """Convolutions with batch normalisation, in the method's own groups, at its usual rate."""
    method = METHODS[name]
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * 36, 4),
    )
    labels = torch.arange(64) % 4
    images = torch.randn(64, 1, 8, 8) + labels[:, None, None, None]
    options = method.settle({"weight_decay": 5e-4})
    optimizer = method.build(method.groups.split(network, options), method.usual_rate, options)
    assert [group["name"] for group in optimizer.param_groups] == list(method.groups.names(options))
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        losses.append(loss.item())
        optimizer.step(lambda loss=loss: loss)
    assert losses[-1] < 0.5 * losses[0]


def test_what_is_common_and_numbers_of_several_types():
    optimizer = DoG(in_two_groups(weights()))
    assert common(optimizer, "gamma") == 8.0
    with pytest.raises(UsageError, match=r"DoG needs the same weight_decay in all parameter groups, got 0\.02, 0\.0"):
        common(optimizer, "weight_decay")
    assert numbers([torch.tensor(0.1, dtype=torch.float64), torch.tensor(2.0)]) == [0.1, 2.0]


def test_every_optimizer_here_has_its_entry():
    built = {type(build(name, weights())) for name in METHODS}
    assert built == {MoMo, MoMoAdam, DoG, LDoG, SGDHD, AdamHD}
