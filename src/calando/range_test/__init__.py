"""The learning-rate range test: the training loss while the rate rises, measured on objects that are only lent.

    find      what to measure, checked; `find_lr` for a user's own objects
    for_run   the same for a run of ours, on its own network and batches
    found     the answer: curves, judgement, whether the network lives at the rate, the cost
    measure   the sweeps, each update at its rate
    stops     when a sweep has seen enough, and when it began too high
    update    one update: batches -> loss -> gradients -> optimizer
    fault     whether the rate or the batch is to blame for what is not finite
    constants the loss of outputs that are the same for all samples
    loss      from a batch of any make to a loss
    ready     what is lent, checked and made ready for training

Both finders restore what they train (`calando.training.restore`), make an update of it and hand that to `find_ranges`,
which measures, asks `calando.analysis.suggest` for the judgement, and returns what was found.
"""

from calando.range_test.find import Asked, Progress, find_lr
from calando.range_test.for_run import find_for_run
from calando.range_test.found import Found, FoundRate, Held

__all__ = ["Asked", "Found", "FoundRate", "Held", "Progress", "find_for_run", "find_lr"]
