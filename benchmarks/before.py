"""Our loop now and at an earlier commit, in pairs: processor time of a run on images, and whether it has the same bits.

    python benchmarks/before.py 1c18e7c [--pairs 12] [--steps 400]

Each measurement is a fresh process that trains the digits' CNN twice and times the second run; the order alternates.
Printed: the median ratio now / before with quartiles, and the SHA-256 of the losses of either. Goal: at most 1.01.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

RUN = """
import hashlib, time
from calando.study.build_spec import build_run
from calando.study.limits import Budget, Machine
from calando.tasks.catalog import resolve
from calando.training.loop import execute
text = "sgd(lr=0.05, momentum=0.9) | cosine(1, 0)"
run, task = build_run(resolve("digits"), text, budget=Budget(steps={steps}), machine=Machine(device="cpu"))
execute(run, task)
began = time.process_time()
record = execute(run, task)
print(time.process_time() - began, hashlib.sha256(record.losses.tobytes()).hexdigest()[:16])
"""


def once(source: Path, *, steps: int) -> tuple[float, str]:
    """Seconds of the processor, and the digest of the losses."""
    own = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN.format(steps=steps)]
    seconds, digest = subprocess.run(command, env=own, capture_output=True, text=True, check=True).stdout.split()
    return float(seconds), digest


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--steps", type=int, default=400)
    options = parser.parse_args()
    now = Path(__file__).parent.parent / "src"
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(["git", "archive", options.commit, "src"], capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        before, ratios, digests = Path(folder) / "src", [], dict[str, set[str]]()
        for pair in range(options.pairs):
            sources = [("now", now), ("before", before)]
            found = {name: once(path, steps=options.steps) for name, path in (sources if pair % 2 else sources[::-1])}
            ratios.append(found["now"][0] / found["before"][0])
            for name, (_, digest) in found.items():
                digests.setdefault(name, set()).add(digest)
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"now / before: {middle:.3f} ({low:.3f} to {high:.3f}, n = {len(ratios)} pairs); losses {digests}")


if __name__ == "__main__":
    main()
