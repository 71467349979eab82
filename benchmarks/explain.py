"""Which signals of a young run tell that its rate is too high or too low, and how well.

    python benchmarks/explain.py measure [--only CASE] [--untouched] [--seeds 5]

CALANDO_DATA names the folder of real data. Rows are stored next to the script, so each command goes on where it stood.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from explaining.measure import measure

DATA = Path(os.environ.get("CALANDO_DATA", "../shared/data"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["measure"])
    parser.add_argument("--only", default="")
    parser.add_argument("--untouched", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    measure(DATA, only=asked.only, untouched=asked.untouched, seeds=asked.seeds)


if __name__ == "__main__":
    main()
