"""Lightning takes calando's scheduler where it takes torch's: steps it, monitors it, saves it and resumes it."""

import pytest
import torch

import calando

lightning = pytest.importorskip("pytorch_lightning")

# What Lightning uses of torch is deprecated since; and it would rather save at the end of an epoch.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:You.re resuming from a checkpoint that ended before the epoch ended"),
]

TEXT = "linear(0.1, 1, over='25%') >> cosine(1, 0)"
TOTAL = 12
BASES = (0.1, 0.01)


class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.seen = []

    def configure_optimizers(self):
        groups = [{"params": [self.layer.weight], "lr": BASES[0]}, {"params": [self.layer.bias], "lr": BASES[1]}]
        optimizer = torch.optim.SGD(groups, momentum=0.9)
        scheduler = calando.LRScheduler(optimizer, TEXT, total_steps=TOTAL)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def training_step(self, batch, index):
        return self.layer(batch).square().mean()

    def optimizer_step(self, *args, **kwargs):
        self.seen.append([group["lr"] for group in self.optimizers().param_groups])
        super().optimizer_step(*args, **kwargs)


def fit(tmp_path, *, max_steps, model=None, checkpoint=None, **options):
    model = model or Model()
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_steps=max_steps,
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(model, torch.utils.data.DataLoader(torch.ones(8, 2), batch_size=2), ckpt_path=checkpoint)
    return trainer, model.seen


def wanted():
    curve = calando.parse(TEXT).bind(TOTAL)
    return [[base * curve(t) for base in BASES] for t in range(TOTAL)]


def test_every_update_has_its_rate(tmp_path):
    trainer, seen = fit(tmp_path, max_steps=TOTAL)
    assert seen == wanted()
    assert trainer.lr_scheduler_configs[0].scheduler.last_epoch == TOTAL


def test_an_update_of_several_batches_counts_once(tmp_path):
    _, seen = fit(tmp_path, max_steps=TOTAL, accumulate_grad_batches=2)
    assert seen == wanted()


def test_resumed_from_a_checkpoint_the_next_rates_are_right(tmp_path):
    trainer, before = fit(tmp_path, max_steps=5)
    trainer.save_checkpoint(tmp_path / "saved.ckpt")
    _, after = fit(tmp_path, max_steps=TOTAL, checkpoint=tmp_path / "saved.ckpt")
    assert before + after == wanted()


def monitored(tmp_path, model):
    """What Lightning's monitor logged of each update."""

    class Logger(lightning.loggers.logger.DummyLogger):
        def __init__(self):
            super().__init__()
            self.rates = []

        def log_metrics(self, metrics, step=None):
            rates = [rate for name, rate in sorted(metrics.items()) if name.startswith("lr-SGD")]
            self.rates += [rates] if rates else []

    logger = Logger()
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_steps=TOTAL,
        default_root_dir=tmp_path,
        logger=logger,
        callbacks=[lightning.callbacks.LearningRateMonitor(logging_interval="step")],
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, torch.utils.data.DataLoader(torch.ones(8, 2), batch_size=2))
    return logger


def test_the_rate_monitor_reads_it(tmp_path):
    assert monitored(tmp_path, Model()).rates == wanted()


class Kept(Model):
    """What advances by itself, with the scheduler that reports it; `returned` makes what Lightning is given."""

    def __init__(self, text=TEXT, *, total_steps=TOTAL, returned=None):
        super().__init__()
        self.text, self.total_steps = text, total_steps
        self.returned = returned or (lambda optimizer, scheduler: ([optimizer], [scheduler]))
        self.used = []

    def configure_optimizers(self):
        if "|" in self.text:
            handle = calando.follow(self.layer, self.text, total_steps=self.total_steps)
            optimizer = handle.optimizer
        else:
            groups = [{"params": [self.layer.weight], "lr": BASES[0]}, {"params": [self.layer.bias], "lr": BASES[1]}]
            optimizer = torch.optim.SGD(groups, momentum=0.9)
            handle = calando.attach(optimizer, self.text, total_steps=self.total_steps)
        return self.returned(optimizer, handle.scheduler)

    def optimizer_step(self, *args, **kwargs):
        lightning.LightningModule.optimizer_step(self, *args, **kwargs)
        self.used.append([group["lr"] for group in self.optimizers().param_groups])


WAYS = {
    "once a step": lambda o, s: {"optimizer": o, "lr_scheduler": {"scheduler": s, "interval": "step"}},
    "once an epoch": lambda o, s: ([o], [s]),
    "not at all": lambda o, s: o,
}


@pytest.mark.parametrize("way", WAYS)
def test_what_advances_by_itself_goes_on_after_a_resume_however_its_scheduler_is_stepped(tmp_path, way):
    first = Kept(returned=WAYS[way])
    trainer, _ = fit(tmp_path, max_steps=5, model=first)
    trainer.save_checkpoint(tmp_path / "saved.ckpt")
    second = Kept(returned=WAYS[way])
    fit(tmp_path, max_steps=TOTAL, model=second, checkpoint=tmp_path / "saved.ckpt")
    assert first.used + second.used == wanted()


def test_a_resumed_attached_schedule_ends_with_the_weights_of_one_that_never_stopped(tmp_path):
    ends = []
    for cut in (TOTAL, 5):
        torch.manual_seed(1)
        model = Kept()
        trainer, _ = fit(tmp_path, max_steps=cut, model=model)
        if cut < TOTAL:
            trainer.save_checkpoint(tmp_path / "saved.ckpt")
            model = Kept()
            fit(tmp_path, max_steps=TOTAL, model=model, checkpoint=tmp_path / "saved.ckpt")
        ends.append([p.tolist() for p in model.parameters()])
    assert ends[0] == ends[1]


def test_a_saved_horizon_is_reported_at_the_load_and_at_the_first_update(tmp_path):
    trainer, _ = fit(tmp_path, max_steps=5, model=Kept())
    trainer.save_checkpoint(tmp_path / "saved.ckpt")
    with pytest.warns(UserWarning, match="saved with total_steps=12, which is kept") as caught:
        fit(tmp_path, max_steps=TOTAL, model=Kept(total_steps=99), checkpoint=tmp_path / "saved.ckpt")
    assert len([1 for one in caught if "which is kept" in str(one.message)]) == 2


@pytest.mark.parametrize("text", [TEXT, f"sgd(lr=0.1) | {TEXT}"])
def test_the_rate_monitor_reads_what_advances_by_itself_before_the_update_that_uses_it(tmp_path, text):
    model = Kept(text, returned=WAYS["once a step"])
    logger = monitored(tmp_path, model)
    assert logger.rates == model.used == [rates[: len(model.used[0])] for rates in wanted()]


def test_a_scheduler_bound_in_updates_that_is_stepped_once_an_epoch_is_noticed_after_the_first(tmp_path):
    class Forgotten(Model):
        def configure_optimizers(self):
            configured = super().configure_optimizers()
            return [configured["optimizer"]], [configured["lr_scheduler"]["scheduler"]]

    class Stopped(lightning.Callback):
        def on_train_epoch_end(self, trainer, *_):
            trainer.should_stop = True

    with pytest.warns(UserWarning, match='made 4 updates between two calls .* "interval": "step"'):
        fit(tmp_path, max_steps=TOTAL, model=Forgotten(), callbacks=[Stopped()])


class Followed(lightning.LightningModule):
    """A whole strategy: Lightning's closures are what SAM and MoMo want."""

    def __init__(self, text):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
        self.text, self.judged = text, []

    def configure_optimizers(self):
        self.course = calando.follow(self, self.text, total_steps=TOTAL)
        return self.course.optimizer

    def training_step(self, batch, index):
        return self.layers(batch).square().mean()

    def on_train_end(self):
        with self.course.evaluated([torch.eye(2), 1 - torch.eye(2)], forward=lambda net, batch: net.layers(batch)):
            self.judged.append(self.layers(torch.ones(1, 2)).item())


@pytest.mark.parametrize(
    "text",
    ["sam(lr=0.1) | cosine(1, 0)", "momo(lr=0.1)", "schedule_free_sgd(lr=0.5)", "adamw(lr=0.01) | ema(decay=0.5)"],
)
def test_a_strategy_is_followed_saved_and_resumed(tmp_path, text):
    ends = []
    for cut in (TOTAL, 5):
        torch.manual_seed(1)
        model = Followed(text)
        model.seen = []
        trainer, _ = fit(tmp_path, max_steps=cut, model=model)
        if cut < TOTAL:
            trainer.save_checkpoint(tmp_path / "saved.ckpt")
            model = Followed(text)
            model.seen = []
            fit(tmp_path, max_steps=TOTAL, model=model, checkpoint=tmp_path / "saved.ckpt")
        assert model.course.done
        ends.append([*(p.tolist() for p in model.parameters()), model.judged])
    assert ends[0] == ends[1]
