"""Workloads that no worker could import: of a notebook, of a script with or without a guard, of a function's body."""

import json
import subprocess
import sys

import pytest
from tests.waiting import PATIENCE

# All that a person may give as a network, each with what it stands for; a schedule function of the script's own.
DEFINITIONS = """
import functools, json, sys, threading
import calando, torch
from calando.schedules import named_function
print("imported as", __name__)
y = torch.arange(120) % 3
x = torch.rand(120, 1, 4, 4, generator=torch.Generator().manual_seed(0)) + y.view(-1, 1, 1, 1)
lock = threading.Lock()
class Net(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layer = torch.nn.Linear(16, classes)
    def forward(self, images):
        return self.layer(images.flatten(1))
class Held(torch.utils.data.Dataset):
    def __len__(self):
        return len(y)
    def __getitem__(self, index):
        return x[index], int(y[index])
class Locked(Held):
    lock = lock
def local():
    class Local(Net):
        pass
    return Local
def loss(outputs, targets):
    return torch.nn.functional.cross_entropy(outputs, targets) * 2
@named_function("half")
def half(p):
    return 1 - p / 2
def compare(executor, model, **given):
    mine = calando.workload(**{"train": (x, y), "model": model, "batch_size": 16, **given})
    folder = f"{sys.argv[1]}/{len(answers)}-{executor}"
    answer = calando.compare(
        mine, "fixed", "mine = sgd(lr=0.1) | function('half')", lr=0.1, steps=6, seeds=1, folder=folder,
        executor=executor, workers=1, page=False,
    )
    return [result.test.mean for result in answer.results]
answers = []
"""
KINDS = """
{
    "class": (Net, {}), "lambda": (lambda: Net(3), {}), "local": (local(), {}),
    "partial": (functools.partial(Net, classes=3), {}), "loss": (Net, {"loss": loss}), "data": (Net, {"train": Held()}),
    "layers": (lambda classes: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, classes)), {}),
}
"""
ENTRY = f"""
for kind, (model, given) in {KINDS.strip()}.items():
    answers.append((kind, compare("process", model, **given), compare("inline", model, **given)))
for model, given in ((lambda: (lock, Net(3))[1], {{}}), (Net, {{"train": Locked()}})):
    try:
        compare("process", model, **given)
    except calando.UsageError as error:
        answers.append(str(error))
print(json.dumps(answers))
"""
GUARDED = 'if __name__ == "__main__":\n' + "".join(f"    {line}\n" for line in ENTRY.splitlines())
IN_MAIN = "def main():\n" + "".join(f"    {line}\n" for line in ENTRY.splitlines()) + "main()\n"


def run(words, folder, *, text=None):
    return subprocess.run(
        [sys.executable, *words, str(folder)], input=text, capture_output=True, text=True, timeout=PATIENCE, cwd=folder
    )


@pytest.mark.parametrize(
    ("entry", "how"),
    [
        (ENTRY, "stdin"),
        pytest.param(IN_MAIN, "script", marks=pytest.mark.torture),
        pytest.param(GUARDED, "script", marks=pytest.mark.torture),
    ],
)
def test_workers_train_what_is_of_no_module(tmp_path, entry, how):
    """To the same bits as this process; what cannot be sent is named, and leaves nothing behind."""
    script = tmp_path / "script.py"
    script.write_text(DEFINITIONS + entry)
    ran = run(["-"], tmp_path, text=script.read_text()) if how == "stdin" else run([script], tmp_path)
    assert ran.returncode == 0, ran.stderr
    *said, last = ran.stdout.splitlines()
    answers = json.loads(last)
    assert [kind for kind, *_ in answers[:7]] == ["class", "lambda", "local", "partial", "loss", "data", "layers"]
    for kind, process, inline in answers[:7]:
        assert process == inline, kind
    model, data = answers[7:]
    assert model.startswith("the workload's model cannot be sent to worker processes (TypeError: cannot pickle")
    assert data.startswith("the workload's training data cannot be sent to worker processes (TypeError: cannot pickle")
    assert 'executor="inline"' in model
    assert not any(path.name.startswith(("7-", "8-")) for path in tmp_path.iterdir())
    # Without a guard nothing of the script is run again.
    assert set(said) == {"imported as __main__", *(["imported as __mp_main__"] if entry == GUARDED else [])}


def test_a_script_whose_import_fails_is_named(tmp_path):
    """Every worker imports a guarded script first."""
    script = tmp_path / "script.py"
    script.write_text("""
import calando
if __name__ == "__main__":
    calando.compare("digits", "fixed", lr=0.1, steps=5, seeds=1, folder="study", workers=1)
else:
    raise RuntimeError("not without me")
""")
    ran = run([script], tmp_path)
    last = ran.stderr.strip().splitlines()[-1]
    assert "worker processes end before they are ready (exited with status 1" in last
    assert f"they import {script} first" in last
    assert "RuntimeError: not without me" in ran.stderr


def test_a_worker_that_its_own_code_ends_is_not_taken_for_one_out_of_memory(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        DEFINITIONS
        + """
import multiprocessing, os, shutil
class Leaving(Net):
    def forward(self, images):
        return super().forward(images) if not self.training else sys.exit(3)
class LeavingForGood(Net):
    def forward(self, images):
        # In a worker alone: the look at the network before training is made in this process.
        os._exit(3) if multiprocessing.parent_process() else None
        return super().forward(images)
try:
    compare("process", Leaving)
except calando.UsageError as error:
    print(error)
shutil.rmtree(f"{sys.argv[1]}/0-process")
compare("process", LeavingForGood)
"""
    )
    ran = run([script], tmp_path)
    assert "failed with SystemExit: 3; the traceback is in" in ran.stdout.strip().splitlines()[-1]
    last = ran.stderr.strip().splitlines()[-1]
    assert "lost its worker 4 times (exited with status 3); its own code ends the process" in last
    assert "--workers" not in last
