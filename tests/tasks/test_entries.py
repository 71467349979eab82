"""A data format, a data set and a network join by a file, with no edit elsewhere."""

import subprocess
import sys
from pathlib import Path

NETWORK = """
from calando.tasks.nets import NetworkEntry

def linear(*, in_channels, classes, image_size):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size[0] * image_size[1], classes))

def read(name):
    return linear if name == "one-layer" else None

ENTRIES = (NetworkEntry(names="one-layer", description="one layer", read=read),)
"""

READER = """
import numpy as np
from calando.tasks.data import DataEntry
from calando.tasks.data.arrays import Part, as_images, with_test

def read(path):
    return with_test(Part(as_images(np.load(path), origin=str(path)), np.arange(60) % 2, str(path)))

ENTRIES = (DataEntry(name="npy:PATH", description="alternating classes", model="one-layer", batch_size=8, read=read),)
"""

USE = """
import sys
from pathlib import Path
from calando.tasks import data, nets
here = Path(sys.argv[1])
data.__path__.append(str(here / "data"))
nets.__path__.append(str(here / "nets"))
from calando.tasks.catalog import NETWORKS, READERS, find_network, resolve
assert "one-layer" in NETWORKS and "npy" in READERS and find_network("one-layer") is not None
spec = resolve(f"npy:{here}/x.npy")
assert "torch" not in sys.modules
from calando.tasks.load_task import load
made = load(spec)
print(spec.model, made.batch_size, tuple(made.build()(made.batch(0, seed=0)[0]).shape))
"""


def test_a_file_is_all_that_an_entry_takes(tmp_path: Path) -> None:
    import numpy as np

    for folder, text in (("nets", NETWORK), ("data", READER)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(text)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 255, (60, 4, 4), np.uint8))
    command = [sys.executable, "-c", USE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout) == ("", "one-layer 8 (8, 2)\n")
