"""Logs of others: their files read, their schedules recovered, what is no log refused."""

import csv
import json
import os
import warnings

import pytest

import calando
from calando.errors import UsageError
from calando.schedules import parse

WARMUP = "linear(0, 1, over='10%') >> cosine(1, 0)"


def state_of(folder, text=WARMUP, *, total=1000, base=3e-4, every=50, late=0):
    curve = parse(text).bind(total)
    history = [
        {"step": step, "epoch": 1.0, "loss": 1 / step, "learning_rate": base * curve(step - late)}
        for step in range(every, total + 1, every)
    ]
    history.append({"step": total, "eval_loss": 0.5, "eval_accuracy": 0.9})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trainer_state.json").write_text(json.dumps({"max_steps": total, "log_history": history}))
    return folder / "trainer_state.json"


@pytest.mark.parametrize("late", [0, 1])
def test_a_trainer_state_whose_rates_are_those_before_or_after_the_update(tmp_path, late):
    (one,) = calando.import_runs(str(state_of(tmp_path, late=late)))
    found = one.recovered
    assert (found.text, found.base, found.total_steps, found.exact) == (WARMUP, 3e-4, 1000, True)
    assert len(found.notes) == late
    assert one.logged.losses[0] == (50, 0.02)
    assert one.logged.scores == {"eval_accuracy": [(1000, 0.9)], "eval_loss": [(1000, 0.5)]}
    assert one.again == f'calando.LRScheduler(optimizer, "{WARMUP}", total_steps=1000)'


def test_of_a_training_s_checkpoints_the_last_is_read(tmp_path):
    for number in (500, 1000):
        state_of(tmp_path / "run" / f"checkpoint-{number}")
    state_of(tmp_path / "other", "linear(1, 0)")
    runs = calando.import_runs(str(tmp_path))
    assert [one.recovered.text for one in runs] == ["linear(1, 0)", WARMUP]
    assert "checkpoint-1000" in runs[1].logged.name


def test_lightning_s_own_metrics(tmp_path):
    import pytorch_lightning as pl
    import torch
    from pytorch_lightning.callbacks import LearningRateMonitor
    from pytorch_lightning.loggers import CSVLogger

    class Line(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch, _):
            loss = self.layer(batch[0]).square().mean()
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
            scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 200)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(200, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            max_steps=200,
            accelerator="cpu",
            logger=CSVLogger(tmp_path),
            callbacks=[LearningRateMonitor("step")],
            log_every_n_steps=5,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
        )
        trainer.fit(Line(), data)
    (one,) = calando.import_runs(str(tmp_path))
    assert (one.recovered.text, one.recovered.base, one.recovered.total_steps) == ("cosine(1, 0)", 0.1, 200)
    assert one.logged.losses


def test_a_csv_with_two_groups_is_two_runs(tmp_path):
    with (tmp_path / "log.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["step", "lr-SGD/pg1", "lr-SGD/pg2", "val_acc"])
        for step in range(100):
            table.writerow([step, 0.1 * (1 - step / 100), 0.01, "" if step % 10 else 0.5])
    runs = calando.import_runs(str(tmp_path / "log.csv"), steps=100)
    assert [one.recovered.text for one in runs] == ["linear(1, 0)", "constant(1)"]
    assert [one.recovered.base for one in runs] == [0.1, 0.01]
    assert len(runs[0].logged.scores["val_acc"]) == 10


def test_a_csv_of_several_runs_is_as_many_runs(tmp_path):
    rows = [
        f"{run},{step},{rate * (1 - step / 100)}\n" for run, rate in (("a", 0.1), ("b", 0.3)) for step in range(100)
    ]
    (tmp_path / "trace.csv").write_text("run,step,rate\n" + "".join(rows))
    runs = calando.import_runs(str(tmp_path / "trace.csv"), steps=100)
    assert [one.recovered.text for one in runs] == ["linear(1, 0)"] * 2
    assert [one.recovered.base for one in runs] == [0.1, 0.3]
    assert [one.logged.name for one in runs] == [f"{tmp_path / 'trace.csv'} {run}" for run in "ab"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.csv", "step,loss\n1,2\n", "needs a column step and one of lr"),
        ("log.csv", "step,lr\n0,1\n1,soon\n", r"log.csv' does not parse: row 2: lr must be a number, got 'soon'"),
        ("log.csv", "step,lr,loss\n0,1,1\n1,1,low\n", r"log.csv' does not parse: row 2: loss must be a number"),
        ("log.csv", "step,lr\n0,1\n1.5,1\n", r"log.csv' does not parse: row 2: a step must be a whole number, got"),
        ("log.csv", "step,lr\n0,1\n1,nan\n", r"log.csv': a rate must be a finite .*, got nan at step 1; leave"),
        ("log.csv", "step,lr\n0,1\n7,inf\n", r"log.csv': a rate must be a finite .*, got inf at step 7; leave"),
        ("log.csv", "step,lr\n0,1\n7,-1\n", r"log.csv': a rate must be a finite .*, got -1 at step 7; leave"),
        ("log.csv", "step,lr\n-3,1\n", r"log.csv': a step must be a whole number from 0 .*, got -3"),
        ("log.csv", "run,step,lr\na,0,1\nb,0,nan\n", r"log.csv b': a rate must be .*, got nan at step 0"),
        ("log.csv", "", r"log.csv' is empty, 0 bytes"),
        ("trainer_state.json", "", r"trainer_state.json' is empty, 0 bytes"),
        (
            "trainer_state.json",
            '{"log_history": [{"step": 1, "learning_rate": NaN}]}',
            r"trainer_state.json': a rate must be .*, got nan at step 1",
        ),
        (
            "trainer_state.json",
            '{"log_history": [{"epoch": 1}, {"step": 1, "learning_rate": [1]}]}',
            r"trainer_state.json' does not parse: row 2: learning_rate must be a number, got \[1\]",
        ),
        ("log.csv", "step,lr\n", "holds no row with a step and a rate"),
        ("log.csv", "step,lr\n1e999,1\n", "does not parse"),
        ("log.csv", "step,lr\n0.5,1\n", "a step must be a whole number, got '0.5'"),
        ("trainer_state.json", "{", "does not parse"),
        ("trainer_state.json", "[]", "has no log_history"),
        ("trainer_state.json", '{"log_history": []}', "has no learning_rate in its log_history"),
        ("log.txt", "", "is no log that is read here"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=message):
        calando.import_runs(str(tmp_path / name))


def test_a_pipe_is_refused_and_nobody_waits_for_its_writer(tmp_path):
    os.mkfifo(tmp_path / "metrics.csv")
    for path in (tmp_path / "metrics.csv", tmp_path):
        with pytest.raises(UsageError, match="is a pipe or a device"):
            calando.import_runs(str(path))


def test_a_table_of_a_spreadsheet_is_read(tmp_path):
    """It begins with a mark that says how its letters are written."""
    (tmp_path / "log.csv").write_text("step,lr\n0,0.1\n1,0.05\n", encoding="utf-8-sig")
    (one,) = calando.import_runs(str(tmp_path / "log.csv"))
    assert list(one.logged.rates) == [(0, 0.1), (1, 0.05)]


def test_no_path_and_no_log_are_refused(tmp_path):
    with pytest.raises(UsageError, match="nothing to import"):
        calando.import_runs()
    with pytest.raises(UsageError, match="there is no file or folder"):
        calando.import_runs(str(tmp_path / "none"))
    with pytest.raises(UsageError, match="holds no log that is read here"):
        calando.import_runs(str(tmp_path))
