"""A notebook, executed: a model defined in a cell, a rate found for it, strategies compared, the answer looked at."""

import re
from pathlib import Path

import pytest
from tests.waiting import PATIENCE

import calando

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

CELLS = (
    """
import torch
from torch import nn
import calando

class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, x):
        return self.layers(x)

x = torch.randn(256, 3, generator=torch.Generator().manual_seed(0))
y = x.sum(1, keepdim=True).sin()
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=32, shuffle=True)
loss_of = nn.functional.mse_loss
""",
    """
model = Net(8)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
found = calando.find_lr(model, optimizer, loss_of, loader, repeats=2, steps=60, hold=0)
found
""",
    """
def train(run):
    model, epochs = Net(8), run.epochs(4)
    training = run.follow(model, total_steps=len(epochs) * len(loader), steps_per_epoch=len(loader))
    run.keep(model=model, training=training)
    for epoch in epochs:
        for a, b in loader:
            loss_of(model(a), b).backward()
            training.optimizer.step()
            training.optimizer.zero_grad()
        print("epoch", epoch)
        with training.evaluated(loader), torch.no_grad():
            run.report(loss_of(model(x), y))

rate = found.suggestion.decayed.rate or 0.1
answer = calando.compare(train, "fixed", "cosine", lr=rate, seeds=2, workers=2, goal="min", unit="MSE")
""",
    "answer",
    """
question = {"lr": rate, "seeds": 2, "workers": 2, "goal": "min", "unit": "MSE"}
quiet = calando.compare(train, "fixed", "cosine", listen=lambda status: None, **question)
""",
    "print(quiet == answer, answer.folder)",
)


def texts(cell) -> str:
    return "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell["outputs"])


@pytest.mark.slow
def test_a_notebook_defines_finds_compares_and_looks(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(calando.__file__).parents[1]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in CELLS])
    client = nbclient.NotebookClient(
        notebook, timeout=PATIENCE, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    define, find, compare, look, again, compared = notebook.cells
    assert not define["outputs"]
    assert "rate" in texts(find)

    # Progress is one output, brought up to date: what was said stays, no error stream, nothing that the code printed.
    assert [output["output_type"] for output in compare["outputs"]] == ["display_data"], "".join(
        line for output in compare["outputs"] for line in output.get("traceback", ())
    )
    shown = texts(compare)
    (folder,) = (tmp_path / "calando-studies").iterdir()
    assert shown.splitlines()[0] == "starting train for a first look at its length and score"
    assert "2 strategies, 2 paired seeds" in shown
    assert f"study folder: {folder.relative_to(tmp_path)}" in shown
    assert shown.splitlines()[-1] == f"report: {folder.relative_to(tmp_path) / 'report.html'}"
    assert (folder / "report.html").is_file()
    logs = [path.read_text() for path in (folder / "logs").glob("*.log")]
    assert len([log for log in logs if log.count("epoch") == 4]) == 4

    (answer,) = look["outputs"]
    assert re.search(r"<t[dh][^>]*>cosine", answer["data"]["text/html"])
    assert "MSE" in answer["data"]["text/plain"]
    assert not again["outputs"]
    assert texts(compared).strip() == f"True {folder.relative_to(tmp_path)}"
