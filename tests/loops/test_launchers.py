"""Runs of several ranks, in real processes: torchrun, where one is killed, and `accelerate launch`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.waiting import PATIENCE

import calando

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples" / "frameworks"

# What befalls the example: ranks draw differently, the first one alone reports, and the second one is killed once.
CHANGES = {
    "torch.nn.Linear(4, 1)": "torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.2), torch.nn.Linear(4, 1))",
    "epochs = run.epochs(4)\n": "torch.rand(torch.distributed.get_rank())\nepochs = run.epochs(4)\n",
    "        training.optimizer.step()\n": """        training.optimizer.step()
        if "CALANDO_RUN" in os.environ and (run.step, os.environ["RANK"]) == (12, "1") and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
""",
    "    run.report(": "    if torch.distributed.get_rank() == 0:\n        run.report(",
    "import torch\n": "import os, pathlib, signal, sys\nonce = pathlib.Path('killed-once')\nimport torch\n",
}
SCORE = """
score = mse_loss(model(x), data.tensors[1]).item()
if int(os.environ["RANK"]) == 0:
    print("score", score)
run.finish(test=score)
if "CALANDO_RUN" not in os.environ:  # alone; gloo's threads abort a process now and then as it ends by itself
    torch.distributed.barrier()
    sys.stdout.flush()
    os._exit(0)
"""


@pytest.mark.torture
def test_a_killed_rank_ends_the_others_and_the_run_comes_to_the_numbers_of_the_script_alone(tmp_path):
    script = (EXAMPLES / "with_ddp.py").read_text()
    for old, new in CHANGES.items():
        assert old in script
        script = script.replace(old, new, 1)
    (tmp_path / "train.py").write_text(script + SCORE)
    command = "torchrun --standalone --nproc-per-node 2 train.py"
    alone = started(Path(sys.executable).parent / "torchrun", *command.split()[1:], folder=tmp_path)
    (score,) = (float(line.split()[1]) for line in alone.splitlines() if line.startswith("score "))
    assert compared(command, folder=tmp_path) == [score]
    assert (tmp_path / "killed-once").exists()


@pytest.mark.torture
def test_accelerate_launch(tmp_path):
    pytest.importorskip("accelerate")
    command = f"accelerate launch --multi_gpu --num_processes 2 --main_process_port 0 {EXAMPLES / 'with_accelerate.py'}"
    (score,) = compared(command, folder=tmp_path)
    assert 0 <= score < 10
    (log,) = (tmp_path / "study" / "logs").iterdir()
    assert log.read_text().count("2 processes, after 32 updates") == 2


def compared(command: str, *, folder: Path) -> list[float]:
    """The test scores of the one run that a comparison makes."""
    program = (sys.executable, "-c", "from calando.cli.main import main; main()", "compare", command, "cosine")
    words = ("--seeds", "1", "--lr", "0.05", "--no-check-repeats", "--no-page", "--json", "--study", "study")
    return json.loads(started(*program, *words, folder=folder))["results"][0]["test"]["values"]


def started(*command: str | Path, folder: Path) -> str:
    """What a command prints; it must succeed."""
    source = str(Path(calando.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
