"""A person's own training as a picture: of `calando.run` and of `calando.watch`, alone and with other ranks."""

import json
import math
from contextlib import closing

import pytest
import torch
from torch import nn

import calando
from calando.loops import run_picture
from calando.loops import watch as watching
from calando.records import live_file
from calando.records.live_picture import LivePicture, is_conducted
from calando.web.places import Places


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(live_file, "COMMIT_SECONDS", 0.0)
    monkeypatch.setattr("calando.loops.run_handle.SAID_SECONDS", 0.0)
    monkeypatch.setattr("calando.loops.watch.PICTURE_SECONDS", 0.0)


def train(folder=None, *, look=lambda: None, finish=True):
    handle = calando.run("cosine", lr=0.1, folder=folder)
    model = nn.Linear(2, 1)
    training = handle.follow(model, total_steps=12)
    for epoch in handle.epochs(3):
        for _ in range(4):
            loss = model(torch.ones(8, 2)).square().mean()
            loss.backward()
            training.optimizer.step()
            training.optimizer.zero_grad()
            handle.observe(loss=loss.item())
        look()
        handle.report(1 - epoch / 4)
    if finish:
        handle.finish()
    return model


def only(places):
    (path,) = places.found()
    place = places.place(path)
    place.refresh()
    return place


def test_a_run_of_ones_own_is_seen_while_it_goes_on_and_afterwards(tmp_path):
    folder, seen = tmp_path / "mine", []

    def look():
        place = only(Places(tmp_path))
        (row,) = place.rows.values()
        seen.append((place.state, row.state, row.step))
        place.close()

    model = train(folder, look=look)
    assert seen == [("running", "running", 4), ("running", "running", 8), ("running", "running", 12)]
    place = only(Places(tmp_path))
    (row,) = place.rows.values()
    assert (place.kind, place.state, row.state, row.step, row.score) == ("run", "complete", "finished", 12, 0.5)
    assert list(place.curve(row.run, "score").y) == [1.0, 0.75, 0.5]
    assert len(place.curve(row.run, "loss").x) == 12
    assert place.curve(row.run, "rate").y[0] == pytest.approx(0.1)
    assert not is_conducted(folder)
    assert torch.equal(model.weight, train().weight)


def test_another_rank_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(run_picture, "rank", lambda: 1)
    train(tmp_path / "mine")
    assert not (tmp_path / "mine" / "live.sqlite").exists()


def test_a_second_run_in_the_folder_is_not_shown_and_says_so(tmp_path, capsys):
    first = calando.run("cosine", lr=0.1, folder=tmp_path)
    first.follow(nn.Linear(2, 1), total_steps=4)
    train(tmp_path)
    assert "another run writes" in capsys.readouterr().err
    first.fail()


def test_a_picture_that_cannot_be_written_is_a_line_and_training_goes_on(tmp_path, capsys):
    (tmp_path / "live.sqlite").mkdir()
    model = train(tmp_path)
    assert capsys.readouterr().err.count("live.sqlite cannot be written") == 1
    assert torch.equal(model.weight, train().weight)


def watched(folder):
    torch.manual_seed(0)
    x, y = torch.randn(64, 8), torch.arange(64) % 2
    network = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    with calando.watch(network, optimizer, total_steps=40, share=1.0, folder=folder) as watch:
        for _ in range(40):
            loss = nn.functional.cross_entropy(network(x), y)
            loss.backward()
            watch.batch(loss)
            optimizer.step()
            optimizer.zero_grad()
    return watch, network


def test_what_watch_sees_is_drawn_and_changes_nothing(tmp_path):
    watch, network = watched(tmp_path)
    place = only(Places(tmp_path))
    (row,) = place.rows.values()
    assert (row.state, row.step) == ("finished", 40)
    losses = place.curve(row.run, "loss")
    assert list(losses.x) == list(range(1, 41))
    assert losses.y == pytest.approx(watch.losses)
    assert "gradient_norm" in place.measured()
    assert list(place.curve(row.run, "gradient_norm").y) == [look.gradient_norm for look in watch.rows]
    other, alone = watched(None)
    assert torch.equal(network[0].weight, alone[0].weight)
    assert other.losses == pytest.approx(watch.losses, abs=0)


def test_losses_that_are_told_late_and_one_that_is_none_are_drawn_in_order(tmp_path):
    network = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    with calando.watch(network, optimizer, folder=tmp_path) as watch:
        for step in range(9):
            network(torch.ones(4, 2)).sum().backward()
            optimizer.step()
            if step % 3 == 2:
                for late in range(step - 2, step + 1):
                    watch.note_loss(math.nan if late == 4 else float(late), late)
    with closing(LivePicture(tmp_path)) as picture:
        (run,) = picture.since(0).there
        steps, _, losses = picture.curve(run)
        assert steps == sorted(set(steps))
        assert all(loss is None or loss == step - 1 for step, loss in zip(steps, losses, strict=True))
        assert json.dumps(picture.probes(run))
    assert watching.PICTURE_SECONDS == 0.0


@pytest.mark.parametrize("stopped", [False, True])
def test_explain_is_followed_and_leaves_its_looks_alone(tmp_path, stopped):
    seen = []

    def listen(status):
        folder = tmp_path / "explained"
        if status.step == 40:
            place = only(Places(tmp_path))
            (row,) = place.rows.values()
            seen.append((row.state, row.step, len(place.curve(row.run, "gradient_norm").x)))
            if stopped:
                raise KeyboardInterrupt
        assert not (folder / "probes.json").exists()

    asked = {"steps": 200, "threads": 1, "folder": tmp_path / "explained", "listen": listen}
    if stopped:
        with pytest.raises(KeyboardInterrupt):
            calando.explain("digits", "sgd(lr=0.1)", **asked)
        assert list(tmp_path.iterdir()) == []
    else:
        found = calando.explain("digits", "sgd(lr=0.1)", **asked)
        assert [path.name for path in (tmp_path / "explained").iterdir()] == ["probes.json"]
        place = only(Places(tmp_path))
        (row,) = place.rows.values()
        assert (place.kind, place.state, row.state) == ("run", "complete", "finished")
        assert place.headline == str(found.reading).partition("\n")[0]
        assert list(place.curve(row.run, "gradient_norm").y) == [look.gradient_norm for look in found.looked.rows]
        assert list(place.curve(row.run, "loss").y) == list(found.looked.losses)
    ((state, step, looks),) = seen
    assert state == "running"
    assert 0 < step <= 40
    assert looks >= 1
