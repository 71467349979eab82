"""DoG and LDoG: the paper's rule, and the average that is evaluated."""

import math

import pytest
import torch
from tests.methods.made_up import assert_equal, assert_same, build, course, evaluated, in_two_groups, train, weights

from calando.errors import UsageError


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
