"""Metrics of any task: other libraries' numbers, however a part is cut into batches."""

import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import torchmetrics
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn
from tests.tasks.any_tasks import generator, run_of
from torch import nn

import calando
from calando.errors import UsageError
from calando.tasks.metrics import METRICS, found_metric
from calando.tasks.objective import Samples


def judged(name, outputs, targets, *, batch):
    tally = METRICS[name].begin()
    for at in range(0, len(outputs), batch):
        tally.add(outputs[at : at + batch], Samples(None, targets[at : at + batch]), 0.0)
    return tally.score()


@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(1, 40))
def test_counted_metrics_are_scikit_learns(seed, classes, batch):
    rng = np.random.default_rng(seed)
    outputs, targets = torch.from_numpy(rng.normal(size=(40, classes))), torch.from_numpy(rng.integers(0, classes, 40))
    answers, wanted = outputs.argmax(1).numpy(), targets.numpy()
    occurring = sorted(set(wanted.tolist()))
    expected = {
        "accuracy": sklearn.accuracy_score(wanted, answers),
        "balanced accuracy": sklearn.recall_score(wanted, answers, average="macro", labels=occurring, zero_division=0),
        "f1": sklearn.f1_score(wanted, answers, average="macro", zero_division=0),
        "mean iou": sklearn.jaccard_score(wanted, answers, average="macro", zero_division=0),
    }
    for name, value in expected.items():
        assert judged(name, outputs, targets, batch=batch) == pytest.approx(value, abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_metrics_of_numbers_are_scikit_learns(seed, batch):
    rng = np.random.default_rng(seed)
    outputs, targets = (torch.from_numpy(rng.normal(1e3, 1, size=(40, 2))) for _ in range(2))
    wanted, answers = targets.numpy(), outputs.numpy()
    assert judged("rmse", outputs, targets, batch=batch) == pytest.approx(
        math.sqrt(sklearn.mean_squared_error(wanted, answers)), rel=1e-12
    )
    assert judged("r2", outputs, targets, batch=batch) == pytest.approx(sklearn.r2_score(wanted, answers), rel=1e-9)


def test_f1_of_several_labels_is_scikit_learns():
    outputs = torch.randn(50, 3, generator=generator())
    targets = torch.rand(50, 3, generator=generator(1)) > 0.5
    expected = sklearn.f1_score(targets.numpy(), (outputs > 0).numpy(), average="macro")
    assert judged("f1", outputs, targets, batch=7) == pytest.approx(expected, abs=1e-12)


def test_perplexity_is_torchmetrics_and_leaves_out_what_is_ignored():
    outputs, targets = torch.randn(12, 5, 7, generator=generator()), torch.arange(60).reshape(12, 5) % 7
    targets[3, 2:] = -100
    theirs = torchmetrics.text.Perplexity(ignore_index=-100)
    assert judged("perplexity", outputs, targets, batch=5) == pytest.approx(float(theirs(outputs, targets)), rel=1e-5)


def test_a_torchmetrics_metric_and_a_function_judge_the_whole_part():
    x, y = torch.randn(100, 4, generator=generator()), torch.arange(100) % 3
    theirs = torchmetrics.classification.MulticlassMatthewsCorrCoef(num_classes=3)

    def mcc(outputs, targets):
        return sklearn.matthews_corrcoef(targets.numpy(), outputs.argmax(1).numpy())

    scores = [
        run_of(calando.workload(train=(x, y), model=lambda: nn.Linear(4, 3), metric=metric, batch_size=8)).evaluations
        for metric in (theirs, mcc)
    ]
    assert [e.score for e in scores[0]] == pytest.approx([e.score for e in scores[1]], abs=1e-6)
    assert theirs.update_count == 0, "the person's own metric stays as it was given"


@pytest.mark.parametrize("targets", [torch.rand(60) > 0.5, (torch.rand(60) > 0.5).float()])
def test_one_label_a_sample_is_judged_as_scikit_learn_does(targets):
    x = torch.randn(60, 4, generator=generator())
    for name, theirs in (("accuracy", sklearn.accuracy_score), ("f1", sklearn.f1_score)):
        task = calando.workload(
            train=(x, targets), model=lambda: nn.Linear(4, 1), loss="bce", metric=name, batch_size=8
        )
        torch.manual_seed(0)
        network = nn.Linear(4, 1)
        given = task.test.read(torch.arange(len(task.test)))
        _, score = task.evaluate(network, task.test, precision=nullcontext, placed=lambda tensor: tensor)
        answers = (network(given.inputs) > 0).squeeze(1)
        assert score == pytest.approx(theirs(given.targets.numpy() > 0.5, answers.numpy()), abs=1e-12)


def test_what_judges_is_an_instance_with_the_goal_that_it_has():
    with pytest.raises(UsageError, match="metric must be"):
        found_metric(torchmetrics.MeanSquaredError)
    with pytest.raises(UsageError, match="lower is better"):
        found_metric(torchmetrics.MeanSquaredError(), goal="max")
