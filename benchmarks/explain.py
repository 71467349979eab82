"""Which signals of a young run tell that its rate is too high or too low, and how well.

    python benchmarks/explain.py measure [--only CASE] [--untouched] [--seeds 3]
    python benchmarks/explain.py fit                   the numbers of calando/analysis/reading.py
    python benchmarks/explain.py score [--untouched]   how often the reading speaks, and is right
    python benchmarks/explain.py cost [--pairs 12]     of calando.watch
    python benchmarks/explain.py worth [--untouched]   each signal alone, and the rules that people pass on

CALANDO_DATA names the folder of real data. Rows are stored next to the script, so each command goes on where it stood.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from explaining.cost import print_cost
from explaining.measure import measure
from explaining.report import print_fits, print_folk, print_score, print_worth

DATA = Path(os.environ.get("CALANDO_DATA", "../shared/data"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["measure", "fit", "score", "worth", "cost"])
    parser.add_argument("--only", default="")
    parser.add_argument("--untouched", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=12)
    asked = parser.parse_args()
    match asked.command:
        case "measure":
            measure(DATA, only=asked.only, untouched=asked.untouched, seeds=asked.seeds)
        case "cost":
            print_cost(DATA, pairs=asked.pairs)
        case "fit":
            print_fits()
        case "score":
            print_score(untouched=asked.untouched)
        case "worth":
            print_worth(untouched=asked.untouched)
            print_folk(untouched=asked.untouched)


if __name__ == "__main__":
    main()
