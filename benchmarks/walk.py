"""The walk of one rate: how often a schedule is parsed for one run, and the calls and files that write one update.

    python benchmarks/walk.py

One run of 20 updates on digits, counted by `sys.setprofile`; the calls are those below `Session.begin` at update 10.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import calando
from calando.study.build_spec import build_run
from calando.study.limits import Budget, Machine
from calando.tasks.catalog import resolve
from calando.training.loop import execute

ROOT = str(Path(calando.__file__).parent)
STRATEGY = "sgd(lr=0.1) | linear(0, 1, over='10%') >> cosine(1, 0)"
AT = 10


def main() -> None:
    parsed: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    made = 0

    def count(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(ROOT):
            return
        if code.co_name == "parse" and "cosine" in str(frame.f_locals.get("text")):
            parsed["schedule"] += 1
        above: FrameType | None = frame
        while made == AT and above is not None:
            if above.f_code.co_name == "begin" and above.f_code.co_filename.endswith("session.py"):
                calls[code.co_filename.removeprefix(ROOT)] += 1
                break
            above = above.f_back

    def watch(state: Any) -> bool:
        nonlocal made
        made = state.step
        return False

    sys.setprofile(count)
    spec, workload = build_run(resolve("digits"), STRATEGY, budget=Budget(steps=20), machine=Machine(device="cpu"))
    execute(spec, workload, watch=watch)
    sys.setprofile(None)
    print(f"the schedule's text was parsed {parsed['schedule']} times")
    print(f"update {AT}: {calls.total()} calls in {len(calls)} files: {dict(calls)}")


if __name__ == "__main__":
    main()
