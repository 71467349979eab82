"""Say a schedule as text, bind it to a number of steps, and draw it.

python examples/say_a_schedule.py [FILE.html]
"""

import sys
from pathlib import Path

import calando
from calando.report import save, schedule_figure

TEXT = "linear(0, 1, over='5%') >> cosine(1, 0)"

# A schedule is a value: equal ones are the same thing, and each prints as the text that builds it.
schedule = calando.parse(TEXT)
assert schedule == calando.parse(str(schedule))
cycles = calando.parse(f"repeat({TEXT}, every='33%', decay=0.5)")

# Bound to a horizon its shares become steps; the rate of an update is the base rate times the curve there.
curve = schedule.bind(1000)
for step in (0, 25, 50, 500, 999):
    print(f"step {step:4}  rate {0.1 * curve(step):.4f}")

# All of it at once is an array; a picture is a page that opens with no network (PNG and SVG: calando[pictures]).
curves = {"once": curve.sample(), "in cycles": cycles.bind(1000).sample()}
page = Path(sys.argv[1] if len(sys.argv) > 1 else "schedule.html")
save(schedule_figure(curves), page)
print(f"drawn: {page}")
