"""digits: what `make demo` answers, and how good the best strategy is.

    python benchmarks/digits.py [--seeds 3]

Goal: the best strategy's test accuracy at least 98.5 % over 3 seeds; the whole in under 180 s on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import calando


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        answer = calando.compare("digits", folder=Path(folder) / "study", seeds=seeds)
        spent = time.perf_counter() - began
    for result in answer.results:
        assert result.test is not None
        assert result.lr is not None
        test = result.test
        print(f"{result.name:14} lr {result.lr:<8g} test {test.mean:.4f} ± {test.sd:.4f} (n={test.n})")
    print(answer.headline)
    best = answer.results[0].test
    assert best is not None
    print(f"best test accuracy / 0.985: {best.mean / 0.985:.4f}; seconds / 180: {spent / 180:.2f} ({spent:.0f} s)")


if __name__ == "__main__":
    main()
