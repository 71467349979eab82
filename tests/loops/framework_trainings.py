"""One small training in each framework, as its users would write it, with a run handle: `TRAININGS`.

Each takes the run, trains `EPOCHS` epochs of `BATCHES` batches, reports after each, and gives what it ended with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from calando.loops import lightning, trainer

BATCHES, EPOCHS, SIZE = 4, 3, 8
TOTAL = BATCHES * EPOCHS


@dataclass
class Ended:
    """The network at the end, the rates as the framework logged them, update by update, and what was trained on."""

    network: nn.Module
    logged: list[float] = field(default_factory=list)
    training: Any = None
    data: Any = None


def network() -> nn.Module:
    """With all that draws or gathers: dropout and batch norm."""
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.2), nn.Linear(4, 1))


def data() -> TensorDataset:
    x = torch.randn(SIZE * BATCHES, 3)
    return TensorDataset(x, x.sum(1, keepdim=True))


def error(made: nn.Module, of: TensorDataset) -> torch.Tensor:
    x, y = of.tensors
    return nn.functional.mse_loss(made(x), y)


def plain(run: Any) -> Ended:
    ended, of = Ended(network()), data()
    loader = DataLoader(of, SIZE, shuffle=True)
    epochs = run.epochs(EPOCHS)
    training = run.follow(ended.network, total_steps=len(epochs) * len(loader), steps_per_epoch=len(loader))
    run.keep(model=ended.network, training=training)
    for _ in epochs:
        for x, y in loader:
            nn.functional.mse_loss(ended.network(x), y).backward()
            training.optimizer.step()
            ended.logged += training.scheduler.get_last_lr()[:1]
            training.optimizer.zero_grad()
        with training.evaluated(loader):
            run.report(error(ended.network, of))
    run.finish(test=0.5)
    return ended


def accelerated(run: Any) -> Ended:
    import accelerate

    accelerator = accelerate.Accelerator(cpu=True)
    ended, of = Ended(network()), data()
    epochs = run.epochs(EPOCHS)
    training = run.follow(ended.network, total_steps=len(epochs) * BATCHES, steps_per_epoch=BATCHES)
    loader = DataLoader(of, SIZE, shuffle=True)
    model, optimizer, loader, scheduler = accelerator.prepare(
        ended.network, training.optimizer, loader, training.scheduler
    )
    run.keep(model=model, training=training)
    for _ in epochs:
        for x, y in loader:
            accelerator.backward(nn.functional.mse_loss(model(x), y))
            optimizer.step()
            ended.logged += scheduler.get_last_lr()[:1]
            scheduler.step()
            optimizer.zero_grad()
        with training.evaluated(loader):
            run.report(error(model, of))
    run.finish(test=0.5)
    return ended


def ignited(run: Any) -> Ended:
    from ignite.engine import Engine, Events

    ended, of = Ended(network()), data()
    loader = DataLoader(of, SIZE, shuffle=True)
    epochs = run.epochs(EPOCHS)
    training = run.follow(ended.network, total_steps=len(epochs) * len(loader), steps_per_epoch=len(loader))

    def update(engine: Engine, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
        x, y = batch
        nn.functional.mse_loss(ended.network(x), y).backward()
        training.optimizer.step()
        training.optimizer.zero_grad()

    engine = Engine(update)
    engine.add_event_handler(
        Events.ITERATION_COMPLETED, lambda: ended.logged.append(training.scheduler.get_last_lr()[0])
    )
    run.keep(model=ended.network, training=training, engine=engine)
    for epoch in epochs:
        engine.run(loader, max_epochs=epoch + 1)
        with training.evaluated(loader):
            run.report(error(ended.network, of))
    run.finish(test=0.5)
    return ended


def with_lightning(
    run: Any,
    *,
    by_steps: bool = False,
    own: bool = False,
    score: str = "val_error",
    epochs: int = EPOCHS,
    resumes: bool = True,
) -> Ended:
    import pytorch_lightning
    from pytorch_lightning.callbacks import LearningRateMonitor
    from pytorch_lightning.loggers.logger import DummyLogger

    class Module(pytorch_lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layers = network()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers(x)

        def configure_optimizers(self) -> Any:
            return course.configure_optimizers(self, torch.optim.Adam(self.parameters(), lr=0.3) if own else None)

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            return nn.functional.mse_loss(self(batch[0]), batch[1])

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("val_error", nn.functional.mse_loss(self(batch[0]), batch[1]))

    class Logger(DummyLogger):
        def log_metrics(self, metrics: dict[str, float], **others: Any) -> None:
            ended.logged.extend(value for key, value in metrics.items() if key.startswith("lr-"))

    of = data()
    course = lightning.callback(run, score=score)
    module = Module()
    ended = Ended(module, data=of)
    length = {"max_steps": len(run.steps(TOTAL)), "max_epochs": -1} if by_steps else {"max_epochs": epochs}
    pytorch_lightning.Trainer(
        **length,
        callbacks=[course, LearningRateMonitor(logging_interval="step")],
        logger=Logger(),
        log_every_n_steps=1,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(
        module,
        DataLoader(of, SIZE, shuffle=True),
        DataLoader(of, len(of)),
        ckpt_path=course.ckpt_path if resumes else None,
    )
    ended.training = next(iter(run._work.followed), None)
    run.finish(test=0.5)
    return ended


def with_trainer(
    run: Any,
    *,
    by_steps: bool = False,
    score: str = "eval_loss",
    seed: int | None = None,
    epochs: int = EPOCHS,
    resumes: bool = True,
) -> Ended:
    import transformers

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = network()

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            made = self.layers(x)
            return {"loss": nn.functional.mse_loss(made, labels), "made": made}

    class Watch(transformers.TrainerCallback):
        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            ended.logged.extend([logs["learning_rate"]] if "learning_rate" in logs else [])

    of = data()
    rows = [{"x": x, "labels": y} for x, y in of]
    ended = Ended(Model(), data=of)
    length = {"max_steps": len(run.steps(TOTAL))} if by_steps else {"num_train_epochs": epochs}
    arguments = transformers.TrainingArguments(
        output_dir="out",
        **length,
        seed=run.seed if seed is None else seed,
        per_device_train_batch_size=SIZE,
        per_device_eval_batch_size=len(rows),
        eval_strategy="steps" if by_steps else "epoch",
        eval_steps=BATCHES,
        save_strategy="no",
        logging_steps=1,
        use_cpu=True,
        disable_tqdm=True,
        report_to="none",
        dataloader_pin_memory=False,
    )
    ended.training = training = run.follow(ended.network, total_steps=TOTAL, steps_per_epoch=BATCHES)
    course = trainer.callback(run, score=score, every=1e-9 if by_steps else 0.0)
    made = transformers.Trainer(
        ended.network,
        arguments,
        train_dataset=rows,
        eval_dataset=rows,
        optimizers=(training.optimizer, training.scheduler),
        callbacks=[course, Watch()],
    )
    made.remove_callback(transformers.PrinterCallback)
    made.train(resume_from_checkpoint=course.checkpoint if resumes else None)
    run.finish(test=0.5)
    return ended


TRAININGS: dict[str, Callable[[Any], Ended]] = {
    "plain": plain,
    "accelerate": accelerated,
    "ignite": ignited,
    "lightning": with_lightning,
    "lightning, by steps": lambda run: with_lightning(run, by_steps=True),
    "trainer": with_trainer,
    "trainer, by steps": lambda run: with_trainer(run, by_steps=True),
}
