"""How near `calando tune` comes to an exhaustive sweep, at which cost, next to what others do with the same runs.

    python benchmarks/tune.py truth [--only NAME] [--untouched]     whole runs over rates, schedules, seeds; resumable
    python benchmarks/tune.py judges                                what arms may be judged by
    python benchmarks/tune.py whole [--seeds 8]                     the product itself, from outside, on every case
    python benchmarks/tune.py others                                range tests with a cosine, and schedule-free
    python benchmarks/tune.py show [--picture FILE]                 the tables
    python benchmarks/tune.py race                                  `find --race` on the same cases
    python benchmarks/tune.py scripts                               the rules of whole runs, on the same cases
    python benchmarks/tune.py ablate                                the race with one rule changed at a time

Truth: 8 to 10 rates times three schedules. Seeds 0 to 2 choose the best cell. Regret of a run: the best cell's test
score at the same seed, the same weights and batches, less the run's, in points; of a cell: the difference of means over
seeds 3 to 7, so that the winner's luck is not counted.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tuning import ablations, judges, others, race_alone, score, truth, whole_runs


def main() -> None:
    """Measure, or show what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("truth", "judges", "whole", "others", "show", "race", "scripts", "ablate"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--untouched", action="store_true", help="the cases that the rules were not made on")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("CALANDO_DATA", str(options.data))
    match options.what:
        case "truth":
            truth.build(options.data, only=options.only, untouched=options.untouched, races=options.seeds)
            truth.score_best(options.data, only=options.only)
        case "judges":
            judges.build(options.data, only=options.only)
        case "whole":
            score.whole(options.data, only=options.only, seeds=options.seeds)
        case "ablate":
            ablations.show(options.data)
        case "others":
            others.build(options.data, only=options.only)
        case "race":
            race_alone.show(options.data)
        case "scripts":
            whole_runs.show(options.data)
        case "show":
            score.show(options.data, only=options.only, picture=options.picture)


if __name__ == "__main__":
    main()
