"""Range-test finders: which rule's suggestion costs least, ours and the peers', on the same curves.

    python benchmarks/finders.py truth  [--data ../shared/data] [--only NAME]   final scores on a grid of rates
    python benchmarks/finders.py curves [--data ../shared/data] [--only NAME] [--seeds 10]
    python benchmarks/finders.py checks [--data ../shared/data] [--only NAME] [--seeds 4]   short trainings at what
                                            the curves suggest
    python benchmarks/finders.py race   [--data ../shared/data] [--only NAME] [--seeds 4]   short arms instead of sweeps
    python benchmarks/finders.py score                                          seconds, from the stored files
    python benchmarks/finders.py check  [--data ../shared/data] [--only NAME]   that the curves are what `find_lr`
                                            measures, and the peers' rules what the installed peers do

`truth` and `curves` take about an hour of one core each and go on where they were stopped; both are stored next to this
file. `score` prints, for our recommendation, our named rules and the rules of fastai, torch-lr-finder, Lightning and
Ignite: regret (validation score lost by training at the suggestion), share in or within a factor 1.5 of the good band
(rates within 1 point of the best), scatter over seeds, abstentions, steps. A third of the workloads is held out.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["truth", "curves", "checks", "race", "score", "check"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    if options.what == "truth":
        from finders import truth

        truth.build(options.data, only=options.only)
    elif options.what == "curves":
        from finders import curves

        curves.build(options.data, only=options.only, seeds=options.seeds)
    elif options.what == "checks":
        from finders import checks

        checks.build(options.data, only=options.only, seeds=options.seeds)
    elif options.what == "race":
        from finders import race

        race.build(options.data, only=options.only, seeds=options.seeds)
    elif options.what == "score":
        from finders import tables

        tables.show()
    else:
        from finders import check

        check.run(options.data, only=options.only)


if __name__ == "__main__":
    main()
