"""The learning-rate range test: the training loss while the rate rises, measured on objects that are restored.

    finders            `find_lr` for a person's own objects, `find_for_run` for a run of ours
    sweep              what to measure, checked; the sweeps, each update at its rate
    borrowed_update    one update: batches -> loss -> gradients -> a session's step; whether rate or batch is at fault
    loss               from a batch of any make to a loss
    constant_outputs   the loss of outputs that are the same for all samples
    stops              when a sweep has seen enough, and when it began too high
    ready              what is lent, checked and made ready for training
    found              the answer: curves, judgement, whether the network lives at the rate, the cost

Both finders restore what they train (`calando.training.restore`), measure, ask `calando.analysis.suggest` for the
judgement, and return what was found.
"""

from calando.range_test.finders import SweepProgress, find_for_run, find_lr
from calando.range_test.found import Found, FoundRate, HeldRate
from calando.range_test.sweep import SweepOptions

__all__ = ["Found", "FoundRate", "HeldRate", "SweepOptions", "SweepProgress", "find_for_run", "find_lr"]
