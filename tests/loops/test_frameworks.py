"""One suite for a run handle in every framework: rates, what is logged, reports, stops, and resuming to the bit."""

from pathlib import Path

import pytest
import torch
from tests.loops.framework_trainings import BATCHES, TOTAL, TRAININGS, Ended, with_lightning, with_trainer

import calando
from calando.errors import UsageError
from calando.loops import run_handle
from calando.loops.run_channel import Assignment
from calando.loops.run_handle import RunOver
from calando.loops.run_result import read_result
from calando.loops.run_start import active
from calando.strategy import read_strategy

for package in ("accelerate", "ignite", "pytorch_lightning", "transformers"):
    pytest.importorskip(package)

pytestmark = [
    # What the frameworks use of torch, or of each other, is deprecated since.
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning"),
    # A tiny training on a small machine.
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:The number of training batches"),
]

CURVE = "linear(0.1, 1, over='25%') >> cosine(1, 0)"
SPEC = f"sgd(lr=0.05, momentum=0.9) | {CURVE}"
TEXTS = (SPEC, f"adamw(lr=0.05) | {CURVE} | ema(decay=0.5)", "schedule_free_sgd(lr=0.02)")


class Killed(BaseException):
    """The process is killed here."""


def train(name: str, folder: Path, *, text: str = SPEC, at: int = 0, killed: bool = False) -> Ended | None:
    """Train under a study; None where it was stopped, or killed, at update `at`."""

    def hear(report) -> bool:
        reached = bool(at) and report["kind"] == "progress" and report["step"] >= at
        if reached and killed:
            raise Killed
        return reached

    asked = Assignment(strategy="", seed=3, total_steps=TOTAL, steps_per_epoch=BATCHES, folder=str(folder))
    with active(read_strategy(text), asked, hear) as run:
        try:
            return TRAININGS[name](run)
        except (RunOver, Killed):
            assert run.stopped is not killed
            return None


@pytest.fixture(autouse=True)
def _every_report(monkeypatch, tmp_path):
    monkeypatch.setattr(run_handle, "SAID_SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)


def result(folder: Path):
    found = read_result(folder)
    assert found is not None
    return found


def bits(ended: Ended | None) -> list[bytes]:
    assert ended is not None
    return [tensor.detach().numpy().tobytes() for tensor in ended.network.state_dict().values()]


@pytest.mark.parametrize("name", TRAININGS)
def test_rates_are_the_schedules_and_the_logged_ones_are_those(name, tmp_path):
    ended = train(name, tmp_path)
    assert ended is not None
    curve = calando.parse(CURVE).bind(TOTAL)
    found = result(tmp_path)
    assert found.rates.tolist() == pytest.approx([0.05 * curve(step) for step in range(TOTAL)], rel=1e-12)
    assert ended.logged == found.rates.tolist()
    assert (found.outcome, found.steps_done, found.test) == ("finished", TOTAL, 0.5)
    assert [look.step for look in found.looks] == [BATCHES, 2 * BATCHES, 3 * BATCHES]


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("name", TRAININGS)
def test_stopped_or_killed_it_comes_to_the_same_bits(name, killed, tmp_path):
    # The Trainer takes a while to be made; the second text has most state.
    for number, text in enumerate(TEXTS[1:2] if "trainer" in name else TEXTS):
        whole, cut = tmp_path / f"whole-{number}", tmp_path / f"cut-{number}"
        model = train(name, whole, text=text)
        for at in (2, BATCHES + 1, TOTAL) if killed else (BATCHES + 1, 2 * BATCHES):
            assert train(name, cut, text=text, at=at, killed=killed) is None
        assert bits(train(name, cut, text=text)) == bits(model)
        one, other = result(whole), result(cut)
        assert (one.looks, one.rates.tolist()) == (other.looks, other.rates.tolist())


@pytest.mark.parametrize("name", ["lightning", "trainer"])
def test_the_score_is_of_the_weights_that_the_strategy_judges(name, tmp_path):
    """The average, with the statistics of its own, gives another error than the weights that are trained."""
    ended = train(name, tmp_path, text=TEXTS[1])
    assert ended is not None
    training = ended.training
    x, y = ended.data.tensors
    scored = result(tmp_path).looks[-1].score
    layers = ended.network.layers
    with training.evaluated([(x, y)], forward=lambda network, batch: network.layers(batch[0])), torch.no_grad():
        judged = torch.nn.functional.mse_loss(layers(x), y).item()
    layers.eval()
    trained = torch.nn.functional.mse_loss(layers(x), y).item()
    # Statistics are of other batches there.
    assert abs(scored - judged) < 0.2 * abs(scored - trained)


def test_an_optimizer_of_the_modules_own_follows_the_rate_in_lightning(tmp_path):
    with active(read_strategy("cosine").at_rate(0.1), Assignment(strategy="", seed=3), lambda report: False) as run:
        ended = with_lightning(run, own=True)
    curve = calando.parse("cosine(1, 0)").bind(TOTAL)
    assert ended.logged == pytest.approx([0.1 * curve(step) for step in range(TOTAL)], rel=1e-12)


@pytest.mark.parametrize(
    ("training", "change", "message"),
    [
        (with_lightning, {"score": "val_acc"}, "logs no 'val_acc'.* it logs .*val_error"),
        (with_trainer, {"score": "eval_acc"}, "gives no 'eval_acc'.* it gives eval_loss"),
        (with_trainer, {"seed": 42}, "seed=run.seed"),
        (with_trainer, {"epochs": 2}, "the Trainer makes 8 updates, and the strategy is for 12"),
        (with_lightning, {"epochs": -1}, "the trainer has no end"),
    ],
)
def test_mistakes_are_named(training, change, message):
    with pytest.raises(UsageError, match=message):
        training(calando.run("cosine", lr=0.1), **change)


@pytest.mark.parametrize(("name", "training"), [("lightning", with_lightning), ("trainer", with_trainer)])
def test_a_checkpoint_that_is_not_given_to_the_framework_is_noticed(name, training, tmp_path):
    assert train(name, tmp_path, at=BATCHES + 1) is None
    asked = Assignment(strategy="", seed=3, total_steps=TOTAL, steps_per_epoch=BATCHES, folder=str(tmp_path))
    with (
        active(read_strategy(SPEC), asked, lambda report: False) as run,
        pytest.raises(UsageError, match="goes on from a checkpoint after [45] updates: .*course"),
    ):
        training(run, resumes=False)
