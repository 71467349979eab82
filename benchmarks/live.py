"""Live: how soon the page has its first data, and what a look at it costs, with 100, 1,000 and 10,000 runs.

    python benchmarks/live.py run [--peers PYTHON]     some minutes; PYTHON: of an environment with TensorBoard,
                                                       tensorboardX and MLflow
    python benchmarks/live.py show

served     real stores (`records.Store`), each run with 1,000 losses and rates and 20 looks; `calando serve` as a
           process of its own, asked over one connection
           start_s       until it prints its address
           first_ms      then at once what a page asks for its first picture: places, status, 50 rows of the table,
                         bands of all losses
           first_cpu_ms  what of that the server works
           again_ms      the same by another page
           poll_ms       a poll where nothing has changed; poll_95: 95th percentile
           changed_ms    a poll after a run was stored
           curves_ms     50 curves at 800 pixels
           mib           of the server, in memory, at the end
painted    the same stores in Chromium ($CALANDO_CHROMIUM, or on the path), from the address to what can be seen
           verdict_ms, table_ms, curves_ms   of a server that has read nothing yet; median of n servers
           again_ms      all three of them, in a second visit
peers      1,000 runs of 1,000 losses, written by tensorboardX and by MLflow's client into SQLite.
           TensorBoard: from its start until it lists all runs and sends their losses; a refresh asks for runs, tags and
           losses again, as its page does. MLflow: its client without a server, so a lower bound: the table, and the
           losses of 50 runs; a refresh is the table. Ours follows at once: from the start of the server, and a poll.
training   what the picture costs a training: live_training.py
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np
from live_training import PAIRS, TRAINED, training
from runs import Kept, Row

import calando
from calando.records import Evaluation, RunRecord, Store, TestScore

KEPT = Kept(Path(__file__).with_suffix(".json"))
SIZES = (100, 1000, 10_000)
STEPS, LATER, POLLS, CHANGES = 1000, 20, 300, 20
SERVERS = 5
PARTS = {
    "verdict_ms": "h1#verdict:not(:text-is('…'))",
    "table_ms": "table.runs tbody tr",
    "curves_ms": ".chart[data-curves]:not([data-curves='0'])",
}
SCHEDULES = ("constant(1)", "multistep(at=['50%'], factor=0.1)", *(f"linear(1, 0.{digit})" for digit in range(1, 9)))


def losses_of(seed: int) -> np.ndarray:
    """A curve that falls, with noise."""
    x = np.arange(STEPS)
    return (2.3 * np.exp(-x / 200) + 0.1 * np.random.default_rng(seed).random(STEPS)).astype(np.float32)


def fill(folder: Path, runs: int) -> list[RunRecord]:
    """A finished study but for a few runs, which are returned."""
    from many_runs import MACHINE, WORKLOAD

    from calando.study.build_spec import build_study
    from calando.study.limits import Budget
    from calando.study.plan import Plan

    texts = [f"s{place} = sgd(lr=0.1) | {text}" for place, text in enumerate(SCHEDULES)]
    seeds = runs // len(texts)
    asked = build_study(WORKLOAD, texts, budget=Budget(steps=STEPS), machine=MACHINE, seeds=seeds)
    records = []
    for place, wanted in enumerate(Plan(asked.study, runs={}, tests={}, ranges={}).wanted.values()):
        losses = losses_of(place)
        steps = range(STEPS // 20, STEPS + 1, STEPS // 20)
        looks = tuple(Evaluation(step=step, loss=float(losses[step - 1]), score=0.9) for step in steps)
        rates = np.linspace(0.1, 0, STEPS)
        records.append(
            RunRecord(
                spec=wanted.spec,
                outcome="finished",
                steps_done=STEPS,
                losses=losses,
                rates=rates,
                evaluations=looks,
                chance=0.1,
                seconds=1.0,
            )
        )
    with Store.create(folder, asked.study, fingerprint="none") as store:
        for record in records[:-LATER]:
            store.put_run(record)
            store.put_test(record.spec.digest(), TestScore(score=0.9, loss=1.0, n=359))
    return records[-LATER:]


def painted(runs: int) -> Row:
    """What a person waits for in a browser."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CALANDO_CHROMIUM") or shutil.which("chromium")
    seen: dict[str, list[float]] = {"verdict_ms": [], "table_ms": [], "curves_ms": [], "again_ms": []}
    with tempfile.TemporaryDirectory() as name, sync_playwright() as started:
        folder = Path(name) / "study"
        fill(folder, runs)
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        browser.new_page().goto("about:blank")
        for _ in range(SERVERS):
            with process([sys.executable, "-m", "calando", "serve", folder, "--port", "0"]) as server:
                assert server.stdout is not None
                address = server.stdout.readline().split()[0]
                for again in (False, True):
                    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
                    began = time.perf_counter()
                    page.goto(address, wait_until="commit")
                    for part, shown in PARTS.items():
                        page.wait_for_selector(shown)
                        if not again:
                            seen[part].append(1000 * (time.perf_counter() - began))
                    if again:
                        seen["again_ms"].append(1000 * (time.perf_counter() - began))
                    page.context.close()
        browser.close()
    figures = {part: round(statistics.median(times)) for part, times in seen.items()}
    return {**figures, "load": round(os.getloadavg()[0], 1)}


class Asker:
    """One connection that stays open, as a browser's."""

    def __init__(self, host: str, port: int, *, token: str = "") -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=120)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, path: str, *, form: dict[str, str] | None = None, **asked: Any) -> tuple[float, bytes]:
        """Milliseconds until all of it is there, and what it is."""
        where = f"{path}?{urlencode(asked, doseq=True)}" if asked else path
        began = time.perf_counter()
        if form is None:
            self._connection.request("GET", where, headers=self._headers)
        else:
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            self._connection.request("POST", where, body=urlencode(form), headers={**self._headers, **kind})
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (where, answer.status, body[:200])
        return 1000 * (time.perf_counter() - began), body


def first_data(asker: Asker) -> float:
    """Milliseconds for what a page asks first."""
    asked = (("places", {}), ("status", {}), ("runs", {"sort": "-score", "limit": 50}), ("bands", {"of": "loss"}))
    return sum(asker.ask(f"/api/{name}", **parameters)[0] for name, parameters in asked)


@contextlib.contextmanager
def process(command: Sequence[Any]) -> Iterator[subprocess.Popen[str]]:
    """A server, ended as by Ctrl-C."""
    made = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1])},
    )
    try:
        yield made
    finally:
        made.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            made.wait(timeout=20)
        made.kill()
        made.wait()


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[Callable[[], Asker], float, int]]:
    """What makes a page, the seconds until there was an address, and the server's process."""
    began = time.perf_counter()
    with process([sys.executable, "-m", "calando", "serve", folder, "--port", "0"]) as server:
        assert server.stdout is not None
        found = re.search(r"(http://\S+/)\?token=(\w+)", server.stdout.readline())
        assert found
        address, token = urlsplit(found[1]), found[2]
        assert address.hostname
        assert address.port
        host, port = address.hostname, address.port
        yield lambda: Asker(host, port, token=token), time.perf_counter() - began, server.pid


def processor_ms(pid: int) -> float:
    """What a process has used of processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ours(runs: int) -> Row:
    """Figures of our page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "study"
        later = fill(folder, runs)
        with served(folder) as (page, start, pid), Store.open(folder) as store:
            started = processor_ms(pid)
            first = first_data(page())
            worked = processor_ms(pid) - started
            again, one = first_data(page()), page()
            rows = json.loads(one.ask("/api/runs", limit=50)[1])["rows"]
            curves = [
                one.ask("/api/curves", of="loss", pixels=800, run=[row["run"] for row in rows])[0] for _ in range(9)
            ]
            time.sleep(3)  # a summary may be under way
            cursor = json.loads(one.ask("/api/status")[1])["cursor"]
            polls = [one.ask("/api/changes", cursor=cursor) for _ in range(POLLS)]
            assert len(polls[-1][1]) < 100, polls[-1][1]
            changed = []
            for record in later[:CHANGES]:
                store.put_run(record)
                took, news = one.ask("/api/changes", cursor=cursor)
                changed.append(took)
                cursor = json.loads(news)["cursor"]
                assert record.spec.digest() in news.decode()
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    times = [took for took, _ in polls]
    return {
        "start_s": round(start, 2),
        "first_ms": round(first),
        "first_cpu_ms": round(worked),
        "again_ms": round(again),
        "poll_ms": round(statistics.median(times), 2),
        "poll_95": round(float(np.quantile(times, 0.95)), 2),
        "changed_ms": round(statistics.median(changed), 2),
        "curves_ms": round(statistics.median(curves), 1),
        "mib": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20),
        "load": round(os.getloadavg()[0], 1),
    }


WRITE = """
import sys, numpy as np
kind, folder, runs, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
def losses_of(seed):
    return 2.3 * np.exp(-np.arange(steps) / 200) + 0.1 * np.random.default_rng(seed).random(steps)
if kind == "tensorboard":
    from tensorboardX import SummaryWriter
    for run in range(runs):
        with SummaryWriter(f"{folder}/s{run % 10}-{run // 10}") as writer:
            for step, loss in enumerate(losses_of(run)):
                writer.add_scalar("loss", loss, step)
else:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    study = client.create_experiment("study")
    for run in range(runs):
        made = client.create_run(study, run_name=f"s{run % 10}-{run // 10}").info.run_id
        metrics = [Metric("loss", float(loss), 0, step) for step, loss in enumerate(losses_of(run))]
        for start in range(0, steps, 1000):
            client.log_batch(made, metrics=metrics[start:start + 1000])
        client.set_terminated(made)
"""
READ_MLFLOW = """
import sys, time
began = time.perf_counter()
from mlflow.tracking import MlflowClient
client = MlflowClient(f"sqlite:///{sys.argv[1]}/mlflow.db")
(study,) = [one.experiment_id for one in client.search_experiments() if one.name == "study"]
runs = client.search_runs([study], max_results=1000)
for run in runs[:50]:
    client.get_metric_history(run.info.run_id, "loss")
print(1000 * (time.perf_counter() - began))
for _ in range(9):
    began = time.perf_counter()
    client.search_runs([study], max_results=1000)
    print(1000 * (time.perf_counter() - began))
"""


def tensorboard(python: Path, runs: int) -> Row:
    """Figures of TensorBoard's server."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-c", WRITE, "tensorboard", folder, str(runs), str(STEPS)], check=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [python.with_name("tensorboard"), "--logdir", folder, "--port", str(port), "--host", "127.0.0.1"]
        began = time.perf_counter()
        with process(command):
            while True:
                with contextlib.suppress(OSError, AssertionError, http.client.HTTPException):
                    page = Asker("127.0.0.1", port)
                    if refreshed(page, runs)[1]:
                        break
                time.sleep(0.05)
            first = 1000 * (time.perf_counter() - began)
            times = [refreshed(page, runs)[0] for _ in range(9)]
    return {"first_ms": round(first), "refresh_ms": round(statistics.median(times), 1)}


def refreshed(page: Asker, runs: int) -> tuple[float, bool]:
    """Milliseconds of a refresh, and whether all runs' losses came."""
    names, listed = page.ask("/data/runs")
    tags, _ = page.ask("/data/plugin/timeseries/tags")
    if len(json.loads(listed)) < runs:
        return 0.0, False
    wanted = json.dumps([{"plugin": "scalars", "tag": "loss"}])
    series, sent = page.ask("/data/plugin/timeseries/timeSeries", form={"requests": wanted})
    return names + tags + series, len(json.loads(sent)[0]["runToSeries"]) == runs


def next_to_ours(theirs: Row) -> Row:
    """Ours of the same moment, and how many times as long theirs takes."""
    found = ours(1000)
    first = round(1000 * found["start_s"] + found["first_ms"])
    return {
        **theirs,
        "our_first_ms": first,
        "our_poll_ms": found["poll_ms"],
        "first_ratio": round(theirs["first_ms"] / first, 1),
        "refresh_ratio": round(theirs["refresh_ms"] / found["poll_ms"]),
        "load": found["load"],
    }


def mlflow(python: Path, runs: int) -> Row:
    """Figures of MLflow's client."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-c", WRITE, "mlflow", folder, str(runs), str(STEPS)], check=True)
        read = subprocess.run(
            [python, "-c", READ_MLFLOW, folder], check=True, capture_output=True, text=True
        ).stdout.split()
    first, *times = map(float, read)
    return {"first_ms": round(first), "refresh_ms": round(statistics.median(times), 1)}


def run(peers: Path | None) -> None:
    """Measure what is not there."""
    with_browser = find_spec("playwright") is not None
    for runs in SIZES:
        KEPT.measured({"what": "served", "runs": runs, "steps": STEPS, "polls": POLLS}, lambda runs=runs: ours(runs))
        if with_browser:
            key = {"what": "painted", "runs": runs, "steps": STEPS, "polls": SERVERS}
            KEPT.measured(key, lambda runs=runs: painted(runs))
    KEPT.measured({"what": "training", "runs": PAIRS, "steps": TRAINED, "polls": 0}, training)
    if peers is not None:
        for name, measure in (("TensorBoard", tensorboard), ("MLflow's client", mlflow)):
            key = {"what": name, "runs": 1000, "steps": STEPS, "polls": 9}
            KEPT.measured(key, lambda measure=measure: next_to_ours(measure(peers, 1000)))


def show() -> None:
    """Print what is there."""
    for row in KEPT.rows():
        figures = {name: value for name, value in row.items() if name not in ("what", "runs", "steps", "polls")}
        print(f"{row['what']:16} {row['runs']:6}", " ".join(f"{name} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "show"))
    parser.add_argument("--peers", type=Path)
    options = parser.parse_args()
    if options.what == "run":
        run(options.peers)
    show()
