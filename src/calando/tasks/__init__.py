"""Model + data + augmentation + loss + batch size: what is trained.

    catalog      names and their defaults -> a WorkloadSpec (needs no torch)
    load_task    a WorkloadSpec -> a Workload
    assemble     images with a class each, cut and checked; assemble_nested: samples of any make
    workload     the Workload itself: `batch(step, seed=…)` is a pure function
    custom       `workload(train=…, test=…, model=…)`: your own tensors, arrays or datasets
    data/        one file a data format: what it is called, where it is found, how it is read
    nets/        one file a family of networks

Import the module that holds what you need; importing this package loads no torch.
"""

__all__: list[str] = []
