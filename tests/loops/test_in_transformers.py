"""Transformers' Trainer takes calando's scheduler where it takes torch's: logs it, and resumes from a checkpoint."""

import pytest
import torch

import calando

transformers = pytest.importorskip("transformers")

TEXT = "linear(0.1, 1, over='25%') >> cosine(1, 0)"
TOTAL = 12
BASES = (0.1, 0.01)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x):
        return {"loss": self.layer(x).square().mean()}


class Watch(transformers.TrainerCallback):
    def __init__(self):
        self.rates, self.used, self.logged = [], [], []

    def on_pre_optimizer_step(self, *_, optimizer, **__):
        self.rates.append([group["lr"] for group in optimizer.param_groups])

    def on_optimizer_step(self, *_, optimizer, **__):
        self.used.append([group["lr"] for group in optimizer.param_groups])

    def on_log(self, *_, logs, **__):
        if "learning_rate" in logs:
            self.logged.append(logs["learning_rate"])


def scheduled(model, *, total_steps=TOTAL):
    optimizer = plain(model)
    return optimizer, calando.LRScheduler(optimizer, TEXT, total_steps=total_steps)


def attached(model, *, total_steps=TOTAL):
    optimizer = plain(model)
    return optimizer, calando.attach(optimizer, TEXT, total_steps=total_steps).scheduler


def followed(model):
    training = calando.follow(model, f"sgd(lr={BASES[0]}, momentum=0.9) | {TEXT}", total_steps=TOTAL)
    return training.optimizer, training.scheduler


def plain(model):
    groups = [{"params": [model.layer.weight], "lr": BASES[0]}, {"params": [model.layer.bias], "lr": BASES[1]}]
    return torch.optim.SGD(groups, momentum=0.9)


def fit(tmp_path, *, max_steps, resume=None, optimizers=scheduled, **options):
    model, watch = Model(), Watch()
    arguments = transformers.TrainingArguments(
        output_dir=tmp_path,
        max_steps=max_steps,
        per_device_train_batch_size=2,
        logging_steps=1,
        use_cpu=True,
        disable_tqdm=True,
        report_to="none",
        dataloader_pin_memory=False,
        **options,
    )
    trainer = transformers.Trainer(
        model=model,
        args=arguments,
        train_dataset=[{"x": torch.ones(2)}] * 8,
        optimizers=optimizers(model),
        callbacks=[watch],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train(resume_from_checkpoint=resume)
    return watch


def wanted():
    curve = calando.parse(TEXT).bind(TOTAL)
    return [[base * curve(t) for base in BASES] for t in range(TOTAL)]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_every_update_has_its_rate_and_it_is_logged(tmp_path, accumulate):
    watch = fit(tmp_path, max_steps=TOTAL, save_strategy="no", gradient_accumulation_steps=accumulate)
    assert watch.rates == wanted()
    assert watch.logged == [rates[0] for rates in wanted()]


def test_resumed_from_a_checkpoint_the_next_rates_are_right(tmp_path):
    before = fit(tmp_path, max_steps=5, save_steps=5)
    after = fit(tmp_path, max_steps=TOTAL, resume=tmp_path / "checkpoint-5", save_strategy="no")
    assert before.rates + after.rates == wanted()


@pytest.mark.parametrize("optimizers", [attached, followed])
def test_what_advances_by_itself_is_logged_as_used_and_resumed(tmp_path, optimizers):
    whole = fit(tmp_path, max_steps=TOTAL, optimizers=optimizers, save_strategy="no")
    used = [[rate for rate, _ in zip(rates, whole.used[0], strict=False)] for rates in wanted()]
    assert whole.used == used
    assert whole.logged == [rates[0] for rates in used]
    fit(tmp_path, max_steps=5, optimizers=optimizers, save_steps=5)
    rest = fit(tmp_path, max_steps=TOTAL, optimizers=optimizers, resume=tmp_path / "checkpoint-5", save_strategy="no")
    assert rest.used == used[5:]
    assert rest.logged == whole.logged[5:]


@pytest.mark.parametrize("kind", [scheduled, attached])
def test_a_saved_horizon_is_reported_where_the_trainer_lets_it_through(tmp_path, kind):
    fit(tmp_path, max_steps=5, optimizers=kind, save_steps=5)
    with pytest.warns(UserWarning, match="saved with total_steps=12, which is kept; .* total_steps=30") as caught:
        fit(
            tmp_path,
            max_steps=TOTAL,
            optimizers=lambda model: kind(model, total_steps=30),
            resume=tmp_path / "checkpoint-5",
            save_strategy="no",
        )
    assert len([1 for one in caught if "which is kept" in str(one.message)]) == (1 if kind is scheduled else 2)
