"""Model + data + augmentation + loss + batch size: what is trained.

    catalog      names, defaults and one-line descriptions (needs no torch)
    registry     a name -> WorkloadSpec -> Workload
    workload     the Workload itself: `batch(step, seed=…)` is a pure function
    custom       `workload(train=…, test=…, model=…)`: your own tensors, arrays or datasets
    data/        one reader a format; uint8 images and labels
    nets/        the networks

Import the module that holds what you need; importing this package loads no torch.
"""

from __future__ import annotations
