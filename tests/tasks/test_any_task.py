"""Tasks of any kind in our own loop: each passes the public kit, and loss, metric and chance are other libraries'."""

import math
import warnings
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.tasks.any_tasks import TASKS, generator, language, regression, run_of, segmentation, several_labels, unequal
from torch import nn

import calando
from calando.errors import DataError, DataWarning, UnknownName, UsageError
from calando.tasks.metrics import found_metric
from calando.tasks.objective import found_loss
from calando.testing import TASK_CHECKS


@pytest.mark.parametrize("check", TASK_CHECKS)
@pytest.mark.parametrize("make", TASKS, ids=lambda make: make.__name__)
def test_every_task_passes_the_kit(make, check):
    TASK_CHECKS[check](make(), "sgd(lr=0.01, momentum=0.9)")


# Metrics


# Losses


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 5), (6, 5, 4)])
def test_cross_entropy_finds_the_axis_of_the_classes(shape):
    outputs = torch.randn(shape, generator=generator())
    targets = torch.randint(0, 4, (6,) if len(shape) == 2 else (6, 5), generator=generator(1))
    second = outputs if shape[1] == 4 else outputs.movedim(2, 1)
    assert torch.equal(
        found_loss("cross_entropy")(outputs, targets).round(decimals=6),
        F.cross_entropy(second, targets).round(decimals=6),
    )


@pytest.mark.parametrize(
    ("name", "outputs", "targets", "says"),
    [
        ("mse", (4, 2), (4,), "one shape"),
        ("bce", (4, 3), (4,), "one shape"),
        ("cross_entropy", (4, 3), (4, 2), "do not fit"),
        ("cross_entropy", (4, 3, 3), (4, 3), "second or the last"),
    ],
)
def test_shapes_that_torch_would_spread_or_guess_are_refused(name, outputs, targets, says):
    kind = torch.long if name == "cross_entropy" else torch.float32
    with pytest.raises(UsageError, match=says):
        found_loss(name)(torch.zeros(outputs), torch.zeros(targets, dtype=kind))


def test_names_that_are_none_are_refused_with_what_there_is():
    with pytest.raises(UnknownName, match="mse"):
        found_loss("mean squared")
    with pytest.raises(UnknownName, match="rmse"):
        found_metric("rms")
    with pytest.raises(UsageError, match="lower is better"):
        found_metric("rmse", goal="max")


# Chance


def test_chance_of_numbers_is_that_of_their_mean():
    task = regression()
    wanted = task.train.targets(torch.arange(len(task.train))).double()
    assert task.chance_loss == pytest.approx(float(wanted.var(correction=0)), rel=1e-5)
    held = task.validation.targets(torch.arange(len(task.validation))).double()
    assert task.chance.score == pytest.approx(math.sqrt(float((held - wanted.mean()).square().mean())), rel=1e-5)


def test_chance_of_classes_in_every_place_is_the_entropy_of_their_shares():
    for task in (segmentation(), language()):
        wanted = task.train.targets(torch.arange(len(task.train))).flatten()
        shares = torch.bincount(wanted).double() / len(wanted)
        assert task.chance_loss == pytest.approx(-float(torch.xlogy(shares, shares).sum()), rel=1e-4)


def test_chance_of_several_labels_is_that_of_each():
    task = several_labels()
    p = task.train.targets(torch.arange(len(task.train))).double().mean(0)
    entropy = -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).mean()
    assert task.chance_loss == pytest.approx(float(entropy), rel=1e-5)


@pytest.mark.parametrize("own", ["loss", "forward"])
def test_chance_of_a_loss_of_ones_own_is_searched_for(own):
    """Against the closed form: the median's mean distance."""
    x, y = torch.randn(200, 3, generator=generator()), torch.randn(200, generator=generator(1)).exp()

    def distance(outputs, targets):
        return (outputs.squeeze(-1) - targets).abs().mean()

    def forward(network, batch):
        outputs = network(batch[0])
        return distance(outputs, batch[1]), outputs

    given = {"loss": distance} if own == "loss" else {"forward": forward}
    task = calando.workload(train=(x, y), model=lambda: nn.Linear(3, 1), batch_size=8, **given)
    wanted = task.train.targets(torch.arange(len(task.train)))
    assert task.chance_loss == pytest.approx(float((wanted - wanted.median()).abs().mean()), rel=1e-3)


def test_chance_that_cannot_be_found_is_unknown():
    x = torch.randn(60, 3, generator=generator())
    task = calando.workload(
        train=(x, x), model=lambda: nn.Linear(3, 3), forward=lambda net, batch: net.weight.square().sum(), batch_size=8
    )
    assert task.chance_loss is None
    assert run_of(task).outcome == "finished"


class Deaf(nn.Module):
    """Ignores its inputs, but for a trace that keeps its gradient finite."""

    def __init__(self, *outputs):
        super().__init__()
        self.answer = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return self.answer + 0 * x.float().sum()


@pytest.mark.parametrize("make", [regression, several_labels, segmentation, unequal], ids=lambda make: make.__name__)
def test_a_network_that_ignores_its_inputs_has_died(make):
    task = make()
    shape = task.outputs

    class Net(Deaf):
        def forward(self, x):
            return super().forward(x).expand(len(x), *shape)

    answer = (shape[0], *[1] * (len(shape) - 1))
    deaf = replace(task, build=replace(task.build, own=lambda: Net(*answer)))
    rate = {"regression": 0.3, "several_labels": 3, "segmentation": 30, "unequal": 1}[make.__name__]
    record = run_of(deaf, f"sgd(lr={rate})", steps=120)
    assert record.outcome == "died", (record.losses[-20:], task.chance_loss)
    assert any("constant answer" in event.text or "entropy" in event.text for event in record.events)


# What is refused, and what is reported


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"train": (torch.rand(9, 3), torch.rand(8))}, r"arrays of 8 and 9 samples \(inputs 9, targets 8\)"),
        (
            {"train": (torch.rand(40, 3), ["a", "b"] * 20)},
            "of classes give numbers 0, 1, 2 … and the names as class_names=",
        ),
        ({"train": (torch.rand(40, 4), torch.rand(40))}, r"the samples are inputs float32 \[N, 4\], targets float32"),
        ({"train": (torch.arange(80).view(40, 2), torch.rand(40)), "model": "mlp-8"}, "networks of tokens are gru-128"),
        (
            {"train": (torch.rand(40, 3), torch.arange(40) % 2), "loss": "mse", "model": lambda: nn.Linear(3, 2)},
            "take cross_entropy",
        ),
        (
            {"train": (torch.rand(40, 3), torch.arange(40) % 2), "metric": "rmse", "model": lambda: nn.Linear(3, 2)},
            "take accuracy, balanced",
        ),
        ({"train": (torch.full((9, 3), math.nan), torch.rand(9))}, "NaN"),
        ({"train": (torch.rand(40, 3), torch.rand(40)), "augment": "flip"}, "is for images"),
        ({"train": (torch.rand(40, 3), torch.rand(40)), "classes": 3}, "leave it out"),
        ({"train": (torch.rand(40, 3), torch.rand(40)), "test": (torch.rand(40, 4), torch.rand(40))}, "another make"),
        ({"train": (torch.rand(40, 3), torch.rand(40)), "goal": "min"}, "give metric="),
        ({"train": (torch.rand(40, 3), torch.rand(40)), "loss": "cross_entropy"}, "class numbers"),
        ({"train": (torch.rand(40, 3), torch.rand(40)), "loss": nn.MSELoss()}, r"outputs \(2, 1\) over targets \(2,\)"),
        (
            {"train": (torch.rand(40, 3), torch.arange(80).view(40, 2) // 3 % 2), "model": lambda: nn.Linear(3, 2)},
            'take loss="bce"',
        ),
        (
            {"train": (torch.rand(40, 3), torch.rand(40)), "forward": lambda net, x, y: 0},
            "called with the network and the batch",
        ),
        ({"train": {"x": torch.rand(40, 3)}}, "forward="),
        ({"train": (torch.rand(40, 3), torch.arange(40))}, 'give loss="mse"'),
        ({"train": (torch.rand(40, 3), torch.rand(40)), "metric": "accuracy"}, "take rmse or r2"),
        ({"train": (torch.rand(40, 3), torch.rand(40)), "metric": lambda *_: math.nan}, "gives nan"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_line(given, says):
    with pytest.raises((UsageError, DataError), match=says) as caught:
        calando.workload(**{"model": lambda: nn.Linear(3, 1), "batch_size": 4, **given})
    assert "\n" not in str(caught.value)


def test_targets_that_are_left_out_do_not_count_however_a_part_is_cut():
    """Against one pass over the whole part."""
    tokens = torch.randint(0, 5, (80, 6), generator=generator())
    wanted = torch.where(torch.rand(80, 6, generator=generator(1)) < 0.2, tokens, -100)
    torch.manual_seed(0)
    network = nn.Embedding(5, 5)
    scores = []
    for size in (1, 7, 16):
        task = calando.workload(
            train=(tokens, wanted), model=lambda: nn.Embedding(5, 5), metric="loss", batch_size=size
        )
        scores.append(task.evaluate(network, task.test, precision=nullcontext, placed=lambda tensor: tensor))
    given = task.test.read(torch.arange(len(task.test)))
    whole = F.cross_entropy(network(given.inputs).flatten(0, 1), given.targets.flatten()).item()
    assert scores == [(pytest.approx(whole, rel=1e-6), pytest.approx(whole, rel=1e-6))] * 3
    with pytest.raises(DataError, match="every target is -100"):
        calando.workload(train=(tokens, torch.full((80, 6), -100)), model=lambda: nn.Embedding(5, 5), batch_size=4)


def test_lists_of_numbers_are_arrays():
    rows, wanted = torch.rand(40, 3), torch.rand(40)
    lists = calando.workload(train=(rows.tolist(), wanted.tolist()), model=lambda: nn.Linear(3, 1), batch_size=8)
    arrays = calando.workload(train=(rows, wanted), model=lambda: nn.Linear(3, 1), batch_size=8)
    assert lists.fingerprint == arrays.fingerprint


def test_what_was_chosen_is_noted():
    assert regression().notes == ("loss: mse, by the targets' type; score: rmse, lower is better",)
    assert any("normalised" in note or "read as" in note for note in segmentation().notes)


def test_floats_that_may_be_labels_are_noted():
    """torch's loss of labels takes floats, and floats are a regression."""
    x, labels = torch.randn(60, 4, generator=generator()), (torch.arange(180) % 2).view(60, 3).float()
    common = {"model": lambda: nn.Linear(4, 3), "batch_size": 8}
    (_, doubt) = calando.workload(train=(x, labels), **common).notes
    assert 'give loss="bce"' in doubt
    for plain in (
        {"train": (x, labels), "loss": "bce"},
        {"train": (x, labels + 0.5)},
        {"train": (x, labels), "loss": "mse"},
    ):
        assert len(calando.workload(**common, **plain).notes) == 1


def test_images_of_classes_are_judged_by_another_metric_with_the_same_bits_of_training():
    x, y = torch.randint(0, 256, (80, 1, 8, 8), dtype=torch.uint8, generator=generator()), torch.arange(80) % 2
    plain, balanced = (
        run_of(calando.workload(train=(x, y), model="cnn", batch_size=8, **given), steps=8)
        for given in ({}, {"metric": "balanced accuracy"})
    )
    assert plain.losses.tobytes() == balanced.losses.tobytes()
    assert [e.loss for e in plain.evaluations] == [e.loss for e in balanced.evaluations]


def test_a_verdict_is_in_its_own_unit(tmp_path):
    answer = calando.compare(
        regression(),
        "slow = sgd(lr=0.001)",
        "quick = sgd(lr=0.05)",
        seeds=3,
        epochs=4,
        folder=tmp_path,
        executor="inline",
    )
    text = str(answer)
    assert "RMSE" in text
    assert not {"%", "points"} & set(text.split())
    assert text.startswith("quick is best")


def test_a_chance_level_that_is_unknown_is_noted_with_the_answer(tmp_path):
    """A forward that looks into the network has no answer that is the same for all samples."""

    def forward(network, batch):
        return (F.linear(batch[0], network.weight, network.bias).squeeze(1) - batch[1]).square().mean()

    x = torch.randn(60, 3, generator=generator())
    for judged, known in (({"forward": forward}, False), ({"loss": "mse"}, True)):
        task = calando.workload(train=(x, x.sum(1)), model=lambda: nn.Linear(3, 1), batch_size=8, **judged)
        answer = calando.compare(task, "sgd", lr=0.1, steps=8, seeds=1, folder=tmp_path / str(known), executor="inline")
        assert known is not any("chance level unknown" in text for text in answer.cautions)
        assert math.isfinite(answer.results[0].test.mean)


def test_how_large_the_parts_are_is_said():
    assert regression().cautions[0].startswith("parts: ")
    task = calando.workload(train=(torch.rand(100, 3), torch.rand(100)), model=lambda: nn.Linear(3, 1), batch_size=8)
    assert task.cautions == ("parts: 72 samples are trained on, 8 are validated on, 20 are tested on",)


def test_a_forward_that_spreads_its_outputs_over_the_targets_is_doubted():
    """It trains every output to the mean of the batch; torch warns of it once, where nobody may look."""
    rows, wanted = torch.rand(60, 3), torch.rand(60)
    common = {"train": (rows, wanted), "model": lambda: nn.Linear(3, 1), "batch_size": 8}
    with pytest.warns(UserWarning, match="Using a target size"):
        (doubt,) = calando.workload(forward=lambda net, batch: F.mse_loss(net(batch[0]), batch[1]), **common).doubts
    assert "Using a target size (torch.Size([2]))" in doubt
    squeezed = calando.workload(forward=lambda net, batch: F.mse_loss(net(batch[0]).squeeze(1), batch[1]), **common)
    assert squeezed.doubts == ()


def test_other_warnings_of_a_network_are_passed_on():
    class Net(nn.Linear):
        def forward(self, x):
            warnings.warn("mine", stacklevel=1)
            return super().forward(x)

    with pytest.warns(UserWarning, match="mine"):
        calando.workload(train=(torch.rand(60, 3), torch.rand(60)), model=lambda: Net(3, 1), batch_size=8)


def test_numbers_far_from_zero_are_noted():
    x, common = torch.randn(60, 4, generator=generator()), {"model": lambda: nn.Linear(4, 1), "batch_size": 8}
    euros = 10_000 + 3 * x.sum(1)
    (_, note) = calando.workload(train=(x, euros), **common).notes
    assert note.startswith("targets have mean 10000")
    assert len(calando.workload(train=(x, (euros - euros.mean()) / euros.std()), **common).notes) == 1


@pytest.mark.parametrize("last", [nn.Softmax(1), nn.Sigmoid(), nn.LogSoftmax(1), nn.Identity()])
def test_probabilities_where_scores_are_due_are_doubted(last):
    model = lambda: nn.Sequential(nn.Flatten(), nn.Linear(4, 3), last)  # noqa: E731
    for shape in ((60, 4), (60, 1, 2, 2)):  # the same of images
        x, y = torch.rand(shape, generator=generator()), torch.arange(60) % 3
        with pytest.warns(DataWarning, match="leave") if isinstance(last, nn.Softmax) else nullcontext():
            doubts = calando.workload(train=(x, y), model=model, batch_size=8).doubts
        assert any("leave its softmax out" in doubt for doubt in doubts) is isinstance(last, nn.Softmax)
