"""Ignite takes calando's scheduler where it takes torch's: as a handler, and in its own wrapper."""

import pytest
import torch

import calando

engine = pytest.importorskip("ignite.engine")
handlers = pytest.importorskip("ignite.handlers")
base_logger = pytest.importorskip("ignite.handlers.base_logger")

TEXT = "linear(0.1, 1, over='25%') >> cosine(1, 0)"
TOTAL = 12
BASES = (0.1, 0.01)


def build():
    """An engine that makes updates, the scheduler, and the list of rates that the updates had."""
    model, seen = torch.nn.Linear(2, 1), []
    groups = [{"params": [model.weight], "lr": BASES[0]}, {"params": [model.bias], "lr": BASES[1]}]
    optimizer = torch.optim.SGD(groups, momentum=0.9)

    def update(_, batch):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()

    return engine.Engine(update), calando.LRScheduler(optimizer, TEXT, total_steps=TOTAL), seen


def wanted():
    curve = calando.parse(TEXT).bind(TOTAL)
    return [[base * curve(t) for base in BASES] for t in range(TOTAL)]


def run(trainer):
    trainer.run([torch.ones(2, 2)] * 4, max_epochs=TOTAL // 4)


def test_as_a_handler_every_update_has_its_rate():
    trainer, scheduler, seen = build()
    trainer.add_event_handler(engine.Events.ITERATION_COMPLETED, lambda: scheduler.step())
    run(trainer)
    assert seen == wanted()


def test_in_ignites_wrapper_every_update_has_its_rate():
    trainer, scheduler, seen = build()
    handlers.LRScheduler(scheduler).attach(trainer, engine.Events.ITERATION_STARTED)
    run(trainer)
    assert seen == wanted()


def test_ignites_wrapper_takes_up_where_its_state_left():
    trainer, scheduler, before = build()
    wrapper = handlers.LRScheduler(scheduler)
    wrapper.attach(trainer)
    trainer.run([torch.ones(2, 2)] * 5, max_epochs=1)
    state = wrapper.state_dict()
    trainer, scheduler, after = build()
    wrapper = handlers.LRScheduler(scheduler)
    wrapper.load_state_dict(state)
    wrapper.attach(trainer)
    trainer.run([torch.ones(2, 2)] * (TOTAL - 5), max_epochs=1)
    assert before + after == wanted()


def attached(model):
    groups = [{"params": [model.weight], "lr": BASES[0]}, {"params": [model.bias], "lr": BASES[1]}]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    return optimizer, calando.attach(optimizer, TEXT, total_steps=TOTAL)


def followed(model):
    training = calando.follow(model, f"sgd(lr={BASES[0]}) | {TEXT}", total_steps=TOTAL)
    return training.optimizer, training


def as_handler(trainer, scheduler):
    trainer.add_event_handler(engine.Events.ITERATION_COMPLETED, lambda: scheduler.step())


def in_wrapper(trainer, scheduler):
    handlers.LRScheduler(scheduler).attach(trainer, engine.Events.ITERATION_STARTED)


@pytest.mark.parametrize("kind", [attached, followed])
@pytest.mark.parametrize("given", [as_handler, in_wrapper])
def test_loggers_read_what_advances_by_itself_before_the_update_that_uses_it(kind, given):
    model, used, logged = torch.nn.Linear(2, 1), [], []
    optimizer, handle = kind(model)

    def update(_, batch):
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()
        used.append([group["lr"] for group in optimizer.param_groups])

    class Logger(base_logger.BaseLogger):
        def _create_output_handler(self, *args, **kwargs):
            raise NotImplementedError

        def _create_opt_params_handler(self, optimizer, **kwargs):
            class Handler(base_logger.BaseOptimizerParamsHandler):
                def __call__(self, engine, logger, event_name):
                    logged.append([group[self.param_name] for group in self.optimizer.param_groups])

            return Handler(optimizer, **kwargs)

    trainer = engine.Engine(update)
    given(trainer, handle.scheduler)
    Logger().attach_opt_params_handler(trainer, engine.Events.ITERATION_STARTED, optimizer=optimizer)
    run(trainer)
    assert logged == used == [rates[: len(used[0])] for rates in wanted()]
    assert handle.scheduler.last_epoch == handle.step == TOTAL
