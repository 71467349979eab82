"""`calando.run`: alone, and as a study asks for it: lengths, rates, what is kept, what is reported."""

import json
import math
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import calando
from calando.errors import CorruptFile, UsageError
from calando.loops import run_handle
from calando.loops.kept_state import read_kept, write_kept
from calando.loops.run_channel import Assignment
from calando.loops.run_handle import RunOver
from calando.loops.run_result import read_result
from calando.loops.run_start import active
from calando.strategy import parse_strategy, read_strategy

BATCHES, EPOCHS = 4, 3


def asked(folder: Path | None = None, *, steps: int | None = EPOCHS * BATCHES, **others) -> Assignment:
    return Assignment(
        strategy="",
        seed=others.pop("seed", 3),
        total_steps=steps,
        steps_per_epoch=BATCHES if steps else None,
        folder="" if folder is None else str(folder),
        **others,
    )


def train(run, *, every: float = 0.0, epochs: int = EPOCHS, dropout: float = 0.2) -> nn.Module:
    """A small training with all that draws: shuffled batches, dropout, batch norm, a number of each epoch."""
    x = torch.randn(8 * BATCHES, 3)
    y = x.sum(1, keepdim=True)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(dropout), nn.Linear(4, 1))
    order = torch.Generator().manual_seed(run.seed)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 8, shuffle=True, generator=order)
    each = run.epochs(epochs)
    training = run.follow(model, total_steps=len(each) * len(loader), steps_per_epoch=len(loader))
    run.keep(model=model, training=training, order=order, every=every)
    for _ in each:
        model.train()
        shift = 0.1 * torch.randn(())  # an epoch's own, drawn before its batches
        for a, b in run.batches(loader):
            loss = nn.functional.mse_loss(model(a) + shift, b)
            loss.backward()
            training.optimizer.step()
            training.optimizer.zero_grad()
            run.observe(loss=loss)
        with training.evaluated(loader):
            run.report(-nn.functional.mse_loss(model(x), y), lowest=0.0)
    run.finish(test=0.5)
    return model


def hear_nothing(report) -> bool:
    return False


class StopAfter:
    """A study that asks to stop at the n-th thing that it hears of."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __call__(self, report) -> bool:
        self.left -= 1
        return self.left <= 0


def bits(model: nn.Module) -> list[bytes]:
    return [tensor.detach().numpy().tobytes() for tensor in model.state_dict().values()]


def test_alone_it_is_the_strategy_that_the_code_names():
    run = calando.run("cosine", lr=0.1, seed=5)
    train(run)
    curve = calando.parse("cosine(1, 0)").bind(EPOCHS * BATCHES)
    assert [*run._trace.rates] == pytest.approx([0.1 * curve(step) for step in range(EPOCHS * BATCHES)], rel=1e-12)
    assert (run.seed, run.step, run.total_steps) == (5, 12, 12)


def test_printed_it_says_how_far_it_is_and_what_it_reported_last():
    run = calando.run("cosine", lr=0.1, goal="min", unit="MSE")
    assert str(run) == "run of cosine, seed 0: update 0"
    train(run)
    assert re.fullmatch(r"run of cosine, seed 0: update 12 of 12, MSE -\d[\d.e-]*", str(run))


def test_equal_seeds_are_equal_runs_and_others_are_not():
    models = [bits(train(calando.run("cosine", lr=0.1, seed=seed))) for seed in (1, 1, 2)]
    assert models[0] == models[1] != models[2]


@pytest.mark.parametrize("every", [0.0, 1e-9])
@settings(max_examples=12, deadline=None)
@given(stops=st.lists(st.integers(1, 14), max_size=3))
def test_a_run_that_is_stopped_anywhere_comes_to_the_same_bits(tmp_path_factory, every, stops):
    """Stopped at the ends of epochs, or within them where checkpoints are made by time: weights, rates and scores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_handle, "SAID_SECONDS", 0.0)
        check_stops(tmp_path_factory, every, stops)


def check_stops(tmp_path_factory, every: float, stops: list[int]) -> None:
    spec = read_strategy("warmup-cosine").at_rate(0.05)
    plain, cut = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("cut")
    with active(spec, asked(plain), hear_nothing) as run:
        whole = bits(train(run, every=every))
    model = None
    for stop in (*stops, 10**9):
        with active(spec, asked(cut), StopAfter(stop)) as run:
            try:
                model = train(run, every=every)
            except RunOver:
                assert run.stopped
                continue
        break
    assert model is not None
    assert bits(model) == whole
    one, other = read_result(plain), read_result(cut)
    assert one is not None
    assert other is not None
    assert (one.looks, one.rates.tolist(), one.losses.tolist()) == (
        other.looks,
        other.rates.tolist(),
        other.losses.tolist(),
    )


def test_what_it_leaves_is_what_it_did(tmp_path):
    spec = read_strategy("cosine").at_rate(0.1)
    with active(spec, asked(tmp_path), hear_nothing) as run:
        assert calando.run("fixed", goal="min") is run  # code that makes its own handle gets this one
        train(run)
    result = read_result(tmp_path)
    assert result is not None
    assert (result.outcome, result.steps_done, result.test) == ("finished", 12, 0.5)
    assert [look.step for look in result.looks] == [4, 8, 12]
    assert result.looks[0].others == {"lowest": 0.0}
    assert not any(math.isnan(loss) for loss in result.losses)


def test_a_look_ends_after_a_few_updates_and_says_what_it_saw():
    heard = []
    with (
        active(read_strategy("cosine").at_rate(0.1), asked(steps=None, look=2), lambda one: heard.append(one)) as run,
        pytest.raises(RunOver),
    ):
        train(run, epochs=5)
    began = next(one for one in heard if one["kind"] == "began")
    assert (began["total_steps"], began["steps_per_epoch"], began["own"]) == (20, 4, False)
    looked = next(one for one in heard if one["kind"] == "looked")
    assert looked["step"] == 2


def test_a_look_sees_every_network_that_follows():
    def train_two(run, of_second: float) -> None:
        first, second = nn.Linear(2, 1), nn.Linear(2, 1)
        second.weight.data.fill_(of_second)
        training = run.follow(first, total_steps=4)
        run.follow(second, total_steps=4)
        first(torch.ones(1, 2)).sum().backward()
        training.optimizer.step()

    def digest(of_second: float) -> str:
        heard = []
        with (
            active(read_strategy("fixed").at_rate(0.1), asked(steps=None, look=1), heard.append) as run,
            pytest.raises(RunOver),
        ):
            train_two(run, of_second)
        return next(one["digest"] for one in heard if one["kind"] == "looked")

    assert digest(1.0) == digest(1.0) != digest(2.0)


def test_the_length_is_the_one_that_is_asked():
    spec = read_strategy("cosine").at_rate(0.1)
    with active(spec, asked(steps=2 * BATCHES), hear_nothing) as run:
        train(run, epochs=5)
        assert run.step == 2 * BATCHES
    with active(spec, asked(steps=2 * BATCHES + 1), hear_nothing) as run, pytest.raises(UsageError, match="whole"):
        train(run)
    with active(spec, asked(steps=8), hear_nothing) as run, pytest.raises(UsageError, match="asked to have 8 updates"):
        run.follow(nn.Linear(1, 1), total_steps=9)


@pytest.mark.parametrize("text", ["own(lr=0.2) | cosine(1, 0)", "fixed", "step", "cosine", "wsd", "one-cycle"])
def test_an_optimizer_of_the_codes_own_follows_the_rate(text):
    spec = read_strategy(text)
    spec = spec if spec.lr else spec.at_rate(0.2)
    run = calando.run(spec)
    weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))]
    optimizer = torch.optim.SGD([{"params": [weights[0]]}, {"params": [weights[1]], "lr": 0.005}], lr=0.05)
    scheduler = run.scheduler(optimizer, total_steps=10)
    for step in range(10):
        assert run.lr == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        assert optimizer.param_groups[1]["lr"] == pytest.approx(run.lr / 10, rel=1e-9)
        optimizer.step()
        if step % 2:
            scheduler.step()
        else:
            scheduler.step()
    curve = calando.parse(spec.schedules.get("lr", "constant(1)")).bind(10)
    assert run._trace.rates == pytest.approx([0.2 * curve(step) for step in range(10)], rel=1e-12)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("adamw", "brings an optimizer of its own"),
        ("sgd(lr=0.1, momentum=0.9)", "brings an optimizer of its own"),
        ("plateau", "needs more than a rate"),
        ("ema-cosine", "needs more than a rate"),
    ],
)
def test_what_says_more_than_a_rate_is_refused_by_name(text, reason):
    run = calando.run(text, lr=0.1)
    with pytest.raises(UsageError, match=reason):
        run.scheduler(torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1), total_steps=10)


def test_any_number_can_be_asked_for_and_scheduled():
    run = calando.run("own(lr=0.1, dropout=0.4) | cosine(1, 0) | dropout: linear(1, 0)")
    seen = [(run.value("dropout", 0.9), run.value("width", 3.0), run.lr) for _ in run.steps(4)]
    assert [one[0] for one in seen] == pytest.approx([0.4, 0.3, 0.2, 0.1], rel=1e-12)
    assert {one[1] for one in seen} == {3.0}
    assert seen[0][2] == pytest.approx(0.1)


def test_a_score_that_is_not_finite_ends_the_run(tmp_path):
    with active(read_strategy("fixed").at_rate(0.1), asked(tmp_path), hear_nothing) as run:
        run.follow(nn.Linear(1, 1), total_steps=12, steps_per_epoch=BATCHES)
        with pytest.raises(RunOver):
            run.report(float("nan"))
    result = read_result(tmp_path)
    assert result is not None
    assert result.outcome == "diverged"
    assert "the score is nan" in result.events[-1][2]


def test_weights_that_are_not_finite_end_it_whatever_the_score(tmp_path):
    with active(read_strategy("fixed").at_rate(0.1), asked(tmp_path), hear_nothing) as run:
        network = nn.Linear(1, 1)
        run.follow(network, total_steps=12, steps_per_epoch=BATCHES)
        network.weight.data.fill_(math.inf)
        with pytest.raises(RunOver):
            run.report(0.1)


def test_a_plateau_answers_to_what_is_reported():
    run = calando.run("sgd(lr=0.1) | plateau(factor=0.5, patience=1)")
    training = run.follow(nn.Linear(1, 1), total_steps=9)
    for score in (0.5, 0.4):
        training.network(torch.ones(1, 1)).sum().backward()
        training.optimizer.step()
        with pytest.raises(UsageError, match="validation loss"):
            run.report(score)
        run.report(score, loss=score + (score == 0.4))
    assert len(training.events) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: run.keep(), "keeps what it is given"),
        (lambda run: run.keep(save=print), "together"),
        (lambda run: run.keep(number=3), "no state_dict"),
        (lambda run: run.keep(model=nn.Linear(1, 1), every="soon"), "must be a time"),
        (lambda run: run.epochs(2.5), "whole number"),
        (lambda run: run.report("high"), "one number"),
        (lambda run: run.lr, "horizon is unknown"),
        (lambda run: calando.run("cosine", goal="most"), "goal must be"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(UsageError, match=message):
        call(calando.run("cosine", lr=0.1))


def test_a_run_that_ends_early_or_says_nothing_is_refused(tmp_path):
    spec = read_strategy("fixed").at_rate(0.1)
    with active(spec, asked(tmp_path), hear_nothing) as run:
        run.follow(nn.Linear(1, 1), total_steps=12, steps_per_epoch=BATCHES)
        with pytest.raises(UsageError, match="reports no score"):
            run.close()
        run.report(0.5)
        with pytest.raises(UsageError, match="ended after 0 of 12 updates"):
            run.close()


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(state=st.dictionaries(st.text(max_size=4), NESTED, max_size=4))
def test_any_nested_state_comes_back_as_it_was(tmp_path_factory, state):
    folder = tmp_path_factory.mktemp("kept")
    write_kept(folder, state)
    assert read_kept(folder) == state


def test_optimizers_states_come_back_to_the_bit(tmp_path):
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    write_kept(tmp_path, {"optimizer": optimizer.state_dict()})
    states = read_kept(tmp_path)
    assert states is not None
    other = torch.optim.AdamW(model.parameters(), lr=0.3)
    other.load_state_dict(states["optimizer"])
    assert str(other.state_dict()) == str(optimizer.state_dict())


def test_what_no_checkpoint_can_hold_is_refused_by_its_place(tmp_path):
    with pytest.raises(UsageError, match=r"a\.b is .*without pickle"):
        write_kept(tmp_path, {"a": {"b": object()}})


def test_damage_is_noticed(tmp_path):
    write_kept(tmp_path, {"a": torch.ones(3)})
    (path,) = tmp_path.glob("kept-*")
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(CorruptFile, match="checksum"):
        read_kept(tmp_path)
    sealed = json.loads((tmp_path / "kept.json").read_text())
    sealed["kept"] = sealed["kept"].replace("a", "b", 1)
    (tmp_path / "kept.json").write_text(json.dumps(sealed))
    with pytest.raises(CorruptFile, match="checksum"):
        read_kept(tmp_path)


def test_a_folder_of_the_codes_own_making_is_kept_whole(tmp_path):
    spec, counts = read_strategy("fixed").at_rate(0.1), []

    def go(hear) -> None:
        state = {"count": 0}
        with active(spec, asked(tmp_path), hear) as run:
            run.keep(
                save=lambda folder: (folder / "count").write_text(str(state["count"])),
                load=lambda folder: state.update(count=int((folder / "count").read_text())),
            )
            model = nn.Linear(1, 1)
            training = run.follow(model, total_steps=12, steps_per_epoch=BATCHES)
            del training
            for _ in run.epochs(EPOCHS):
                state["count"] += 1
                counts.append(state["count"])
                if hear is not None and hear({}):
                    raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        go(StopAfter(3))
    go(hear_nothing)
    assert counts[-1] == EPOCHS
    assert len([*tmp_path.glob("own-*")]) == 1


def test_a_whole_strategy_text_is_not_an_own_rate():
    with pytest.raises(UsageError, match=r"run\.scheduler"):
        calando.run(parse_strategy("own(lr=0.1)")).follow(nn.Linear(1, 1), total_steps=3)


def test_the_loop_and_the_horizon_must_agree():
    run = calando.run("cosine", lr=0.1)
    run.steps(60)
    with pytest.raises(UsageError, match="loop makes 60 updates, and total_steps=6000"):
        run.follow(nn.Linear(1, 1), total_steps=6000)
    run = calando.run("cosine", lr=0.1)
    run.epochs(3)
    with pytest.raises(UsageError, match="loop makes 12 updates, and total_steps=10"):
        run.follow(nn.Linear(1, 1), total_steps=10, steps_per_epoch=4)


def test_more_updates_than_the_horizon_are_refused(tmp_path):
    with active(read_strategy("fixed").at_rate(0.1), asked(tmp_path, steps=1), hear_nothing) as run:
        training = run.follow(nn.Linear(1, 1), total_steps=1)
        for _ in range(2):
            training.network(torch.ones(1, 1)).sum().backward()
            training.optimizer.step()
        run.report(1.0)
        with pytest.raises(UsageError, match="made 2 updates instead of 1"):
            run.close()
