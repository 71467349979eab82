"""`calando.train`: one run of one strategy, its weights written; `calando train` as a function.

    FOLDER/spec.json            what is run in it, on which data
    FOLDER/range_test.json      the rate found for it, where it was asked for
    FOLDER/weights.safetensors  the network's weights at the end
    FOLDER/record.json          how it went, for who reads it later (calando.records.run_file)
    FOLDER/live.sqlite          rates, losses and scores, for `calando serve`

Called again it goes on where it stood; a rate that was found is not measured again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from calando.language import _, message
from calando.shown import Drawn
from calando.tasks.data_place import path_within
from calando.verbs.progress import RunProgress
from calando.verbs.stored_spec import SPEC_FILE, StoredSpec, spec_document

if TYPE_CHECKING:
    from calando.records import Centre, RangeRecord, RunRecord, RunSpec, StrategySpec, TestScore
    from calando.records.measure import Measure
    from calando.study.listening import Listening, RunStatus
    from calando.tasks.workload import Workload

__all__ = ["Trained", "train"]


@final
@dataclass(frozen=True, kw_only=True)
class Trained(Drawn):
    """A run that has ended.

    Args:
        folder: the run's folder.
        weights: safetensors file with the network's final weights.
        record: the run's spec, outcome, rates, losses, evaluations and events.
        test: score of the final weights on the test part.
        centre: what the range test found. None: no range test was asked for.
    """

    folder: Path
    weights: Path
    record: RunRecord
    test: TestScore
    centre: Centre | None

    def __str__(self) -> str:
        """How it ended, and with which scores: what a notebook shows."""
        record, measure = self.record, self.record.spec.workload.measure
        validation, test = (_written(score, measure) for score in (record.score, self.test.score))
        # A share of 95 % looks like success where 95 % of the samples are of one class.
        return _(
            "{outcome} after {done} of {steps} steps in {seconds:.0f} s: validation {validation}{chance}, test {test} "
            "({n} samples, 1 seed)",
            outcome=message(record.outcome),
            done=record.steps_done,
            steps=record.spec.steps,
            seconds=record.seconds,
            validation=validation,
            chance=message(" (chance)") if record.at_chance else "",
            test=test,
            n=self.test.n,
        )

    __repr__ = __str__

    def plot(self) -> Any:
        """Its rate, loss and validation score."""
        from calando.report import training_figure

        return training_figure(self.record)

    def table(self) -> list[dict[str, Any]]:
        """A row for each evaluation of the validation part."""
        return [{"step": look.step, "loss": look.loss, "score": look.score} for look in self.record.evaluations]

    def to_json(self) -> dict[str, Any]:
        """All of it but the traces, as what `json.dumps` takes."""
        record = self.record
        return {
            "strategy": record.spec.strategy.text,
            "workload": record.spec.workload.title,
            "lane": record.spec.lane.model_dump(),
            "outcome": record.outcome,
            "at_chance": record.at_chance,
            "range_test": None if self.centre is None else self.centre.model_dump(mode="json"),
            "steps_done": record.steps_done,
            "metric": record.spec.in_our_loop.metric or "accuracy",
            "goal": record.spec.workload.measure.goal,
            "validation_score": record.score,
            "test_score": self.test.score,
            "test_n": self.test.n,
            "seconds": record.seconds,
            "events": [str(event) for event in record.events],
            "weights": str(self.weights),
        }


def _written(score: float, measure: Measure) -> str:
    return f"{score:.2%}" if measure.share else measure.amount(score)


def train(
    workload: str | os.PathLike[str] | Workload,
    strategy: str | StrategySpec | None = None,
    *,
    folder: Path | str | None = None,
    model: str | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    lr: float | Literal["find"] | None = None,
    batch_size: int | None = None,
    augment: str | None = None,
    label_smoothing: float | None = None,
    metric: str | None = None,
    clip_norm: float | None = None,
    accumulate: int = 1,
    train_limit: int | None = None,
    data_dir: Path | str | None = None,
    threads: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    log: str | Sequence[str] | None = None,
    listen: Callable[[RunStatus], None] | None = None,
) -> Trained:
    """Train once and return how it went. Called again, it resumes where it stopped, to the same bits.

    Args:
        workload: a registered name, "module:callable", your own `calando.workload(...)`, or the path of a run's
            spec.json, which says everything but where the data lie.
        strategy: name of a preset or a schedule, path of a TOML file, strategy text, or a `StrategySpec`. None: the one
            in spec.json.
        folder: the run's folder. None: calando-runs/STRATEGY-DIGEST in the current folder.
        model, batch_size, augment, label_smoothing, metric, clip_norm, accumulate, train_limit: for a named workload,
            see `calando.records.WorkloadSpec`; your own workload has them already.
        epochs: length of the run in passes over the data; give `epochs` or `steps`, not both. None: the strategy's own
            horizon, or the workload's usual number of epochs.
        steps: length of the run in updates, instead of `epochs`.
        seed: seed of the initial weights, the data order and the augmentation.
        lr: base rate, where the strategy leaves it open. None: the method's usual rate. "find": a range test is made
            first, and its rate is used.
        data_dir: folder with the data sets. None: $CALANDO_DATA, then the user's cache.
        threads: number of CPU threads. None: OMP_NUM_THREADS or `torch.set_num_threads`, else one per core.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "auto", "fp32" or "bf16".
        log: trackers that the run is logged to while it trains, as for `calando.compare`.
        listen: called with the status as the run goes on. None: progress is shown, as for `calando.compare`.

    Raises:
        UsageError: an argument is wrong, the folder holds another run, or the range test finds no reliable rate.
        CorruptFile: a file in the folder is damaged.
        DiskFull: the disk is full.
        KeyboardInterrupt: Ctrl-C was pressed; the run's state is saved first.

    Example:
        >>> import tempfile, calando
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     trained = calando.train("digits", "sgd(lr=0.1) | cosine(1, 0)", steps=20, threads=1, folder=folder)
        >>> trained.record.outcome, trained.record.steps_done, trained.weights.name
        ('finished', 20, 'weights.safetensors')
    """
    from calando.loops.tracking import followers_to, read_log
    from calando.records.files import file_name
    from calando.tasks.catalog import resolve
    from calando.verbs.torch_first import import_torch

    trackers = read_log(log)
    of_task: dict[str, Any] = {
        "model": model,
        "batch_size": batch_size,
        "augment": augment,
        "label_smoothing": label_smoothing,
        "metric": metric,
        "clip_norm": clip_norm,
        "accumulate": accumulate,
        "train_limit": train_limit,
    }
    of_run: dict[str, Any] = {"epochs": epochs, "steps": steps, "seed": seed or None, "lr": lr, "threads": threads}
    of_run |= {"device": None if device == "auto" else device, "precision": None if precision == "auto" else precision}
    # Before torch is imported, which takes seconds: a mistyped name is reported at once.
    if strategy is None:
        given = of_task | {"accumulate": None if accumulate == 1 else accumulate} | of_run
        stored = StoredSpec.read(workload, {name: value for name, value in given.items() if value is not None})
    else:
        stored = None
        task = resolve(os.fspath(workload) if isinstance(workload, os.PathLike) else workload, **of_task)
    import_torch()
    from calando.records.live import following
    from calando.records.run_file import write_run
    from calando.records.store import sole_coordinator
    from calando.study.build_spec import build_run, read_strategies
    from calando.study.checkpoint_cache import run_folder
    from calando.study.limits import Budget, Machine
    from calando.study.listening import Listening
    from calando.study.steered_run import SteeredRun
    from calando.training.checkpoint import export_weights

    where = None if data_dir is None else Path(data_dir)
    if stored is not None:
        run, loaded, place = stored.load(where)
        said: str = message("{lane}, as in {path}", lane=run.lane.text, path=stored.path)
    else:
        assert strategy is not None
        machine = Machine.whole(device=device, precision=precision, threads=threads)
        length = Budget(epochs=epochs, steps=steps)
        run, loaded = build_run(task, strategy, budget=length, machine=machine, seed=seed, lr=lr, data_dir=where)
        said, place = machine.said(run.lane), path_within(run.in_our_loop.data)
    if folder is None:
        found = "-find" * (lr == "find")
        folder = Path("calando-runs") / f"{file_name(run.strategy.name)}{found}-{run.digest()[:8]}"
    folder = Path(folder)
    with sole_coordinator(folder), RunProgress(listen) as progress:
        listening = Listening(run, loaded, progress, folder=folder, machine=said)
        if lr == "find":
            run, listening.centre = _at_found_rate(run, loaded, folder, listening)
            listening.run = run
        elif strategy is not None and read_strategies([strategy], lr=lr)[0].lr is None:
            note = message(
                'rate {rate:g}: the usual one of {method}, since none is given; lr="find" (--lr find) measures it, and '
                "`calando compare` chooses it",
                rate=run.strategy.lr,
                method=run.strategy.method,
            )
            listening.notes += (note,)
        listening.notes += _refuse_another(folder, run, loaded, place)
        with following(folder, followers_to(trackers, folder, run.workload.title)) as listening.followers:
            listening.begin()
            record, test = SteeredRun(run, loaded, folder, listening).train()
        weights = folder / "weights.safetensors"
        export_weights(run_folder(folder, record.spec.digest()), weights)
        write_run(folder, record, test)
    return Trained(folder=folder, weights=weights, record=record, test=test, centre=listening.centre)


def _at_found_rate(run: RunSpec, workload: Workload, folder: Path, listening: Listening) -> tuple[RunSpec, Centre]:
    """The run at the rate found for it, and what finding it gave and cost."""
    from calando.errors import UsageError
    from calando.study.grid_from_range_test import centre_of, range_run

    tested, path = range_run(run), folder / "range_test.json"
    found = _kept_range_test(path, tested.digest()) or _measure(tested, workload, path, listening)
    centre = centre_of(run.strategy, found, run.horizon)
    if centre.lr is None:
        guess = found.decayed or found.constant
        hint = message(" (it would say {rate:.3g})", rate=guess[0]) if guess is not None else ""
        raise UsageError(
            message(
                "the range test found no rate to rely on: {doubts}{hint}; look at it with `calando find`, then "
                "give lr= a number",
                doubts="; ".join(centre.doubts),
                hint=hint,
            )
        )
    return run.model_copy(update={"strategy": run.strategy.at_rate(centre.lr)}), centre


def _measure(tested: RunSpec, workload: Workload, path: Path, listening: Listening) -> RangeRecord:
    from calando.range_test import find_for_run
    from calando.records.files import write_atomically
    from calando.study.perform_job import range_record

    began = time.monotonic()
    found = range_record(find_for_run(tested, workload, progress=listening.measured), seconds=time.monotonic() - began)
    write_atomically(path, json.dumps({"run": tested.digest(), "found": asdict(found)}, indent=2).encode())
    return found


def _kept_range_test(path: Path, digest: str) -> RangeRecord | None:
    """What was found before, for the same run; None: nothing."""
    from calando.errors import CorruptFile
    from calando.records.files import read_plain
    from calando.records.record import range_record_of

    if not path.exists():
        return None
    try:
        kept = json.loads(read_plain(path, most=2**20))
        return range_record_of(kept["found"]) if kept["run"] == digest else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptFile(
            message("{path} is damaged; remove it, and the range test is made again", path=path)
        ) from error


def _refuse_another(folder: Path, run: RunSpec, workload: Workload, place: Path | None) -> tuple[str, ...]:
    """Write into the folder what is run in it: spec, data, network and loss; or see that they are the same.

    Returns:
        What could not be compared.
    """
    from calando.errors import CorruptFile, UsageError
    from calando.records.files import read_plain, write_atomically
    from calando.training.identity import identify, recognised

    path, data = folder / SPEC_FILE, workload.fingerprint
    if not path.exists():
        identity = str(identify(workload))
        write_atomically(path, spec_document(run, folder, data=data, identity=identity, place=place))
        return ()
    try:
        kept = json.loads(read_plain(path, most=2**20))
        theirs, trained_on = type(run).model_validate(kept["spec"]), kept["data"]
        before = str(kept.get("identity", ""))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptFile(message("{path} is damaged; remove the folder or name another folder=", path=path)) from error
    if theirs.digest() != run.digest():
        raise UsageError(
            message(
                "{folder!r} holds a run of another spec ({text}); name another folder=",
                folder=str(folder),
                text=theirs.strategy.text,
            )
        )
    if trained_on != data:
        raise UsageError(
            message(
                "the data has changed since the run in {folder!r} was started; name another folder=", folder=str(folder)
            )
        )
    identity, notes = recognised(
        before,
        workload,
        what=message("the run in {folder!r}", folder=str(folder)),
        remedy=message("name another folder="),
    )
    if identity != before:
        write_atomically(path, json.dumps({**kept, "identity": identity}, indent=2).encode())
    return tuple(notes)
