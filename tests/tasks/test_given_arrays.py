"""Arrays that would be misread or lose what they hold: masks, lists of texts, large numbers, channels behind."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import calando
from calando.errors import DataError, DataWarning

X = torch.randn(120, 5, generator=torch.Generator().manual_seed(0))
Y = X.sum(1)


def task(train, model=lambda: nn.Linear(5, 1), **options):
    return calando.workload(train=train, model=model, batch_size=8, **options)


def test_masked_values_are_refused():
    hidden = np.ma.masked_array(X.numpy(), X.numpy() > 2)
    with pytest.raises(DataError, match=f"train: {int(hidden.mask.sum())} values of an array are masked; fill them"):
        task((hidden, Y))
    task((np.ma.masked_array(X.numpy()), Y))


@pytest.mark.parametrize("targets", [list("ab" * 60), [None] * 120])
def test_a_list_that_no_batch_cuts_is_refused(targets):
    """Once each batch of eight got all 120."""
    for given in ((X, targets), ({"x": X, "note": targets}, Y)):
        with pytest.raises(DataError, match="train: a list of 120 (texts|NoneType objects) is not cut into batches"):
            task(given, loss=lambda outputs, targets: outputs.mean())


def test_texts_that_are_of_no_sample_stay_as_they_are():
    class Named(nn.Linear):
        def forward(self, x, names):
            assert names == ["a", "b"]
            return super().forward(x)

    made = task(({"x": X, "names": ["a", "b"]}, Y), model=lambda: Named(5, 1))
    assert made.batch(0, seed=0).inputs["names"] == ["a", "b"]


def test_lists_of_numbers_are_arrays_in_a_dict_too():
    class Named(nn.Linear):
        def forward(self, x):
            return super().forward(x)

    one, other = task(({"x": X.tolist()}, Y.tolist()), lambda: Named(5, 1)), task(({"x": X}, Y), lambda: Named(5, 1))
    assert one.fingerprint == other.fingerprint


def test_numbers_that_single_precision_cannot_tell_apart_are_reported():
    large = torch.cat([X[:, :4].double(), 1.7e9 + 100 * X[:, 4:].double()], 1)
    with pytest.warns(DataWarning, match=r"train: values near 1.7e\+09 that differ by .* are rounded by up to"):
        made = task((large, Y))
    assert len(made.doubts) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not task((X.double().numpy(), Y.double() + 1000)).doubts
        assert not task((np.ones((120, 5)), Y)).doubts  # a constant loses nothing


@pytest.mark.parametrize("change", [torch.Tensor.to_sparse, torch.Tensor.bfloat16, lambda x: x.requires_grad_()])
def test_tensors_of_any_layout_and_type_are_read(change):
    net = lambda: nn.Sequential(nn.Linear(5, 1, dtype=change(X.clone()).dtype))  # noqa: E731
    made = task((change(X.clone()), Y), model=net)
    assert made.batch(0, seed=0).inputs.shape == (8, 5)


class Pictures(torch.utils.data.Dataset):
    def __init__(self, change):
        self.change = change
        self.x = torch.randint(0, 256, (60, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return 60

    def __getitem__(self, place):
        return self.change(self.x[place]), (self.x[place, 0] > 127).long()


def test_channels_of_a_datasets_pictures_are_found_as_those_of_arrays_are():
    """uint8 [H, W, C] of a Dataset with masks was once taken for [C, H, W]."""
    net = lambda: nn.Conv2d(3, 2, 1)  # noqa: E731
    first = task(Pictures(lambda x: x), model=net)
    for change in (lambda x: x.permute(1, 2, 0), lambda x: x.permute(1, 2, 0).numpy()):
        last = task(Pictures(change), model=net)
        assert torch.equal(last.batch(0, seed=0).inputs, first.batch(0, seed=0).inputs)
        assert any("read as" in note and "[H, W, C] and normalised" in note for note in last.notes)
    with pytest.raises(DataError, match="may be"):
        task(Pictures(lambda x: F.pad(x, (0, 0, 0, 0, 0, 5))), model=net)
    told = task(Pictures(lambda x: F.pad(x, (0, 0, 0, 0, 0, 5))), model=lambda: nn.Conv2d(8, 2, 1), channels="first")
    assert told.shape == (8, 8, 8)


def test_a_palette_is_no_brightness():
    image = pytest.importorskip("PIL.Image")

    def in_colours(x):
        return image.fromarray(x.permute(1, 2, 0).numpy()).convert("P")

    with pytest.raises(DataError, match="palette"):
        task(Pictures(in_colours), model=lambda: nn.Conv2d(1, 2, 1))


def test_recordings_far_above_full_scale_are_reported():
    waves, labels = torch.randn(60, 800, generator=torch.Generator().manual_seed(0)) / 5, torch.arange(60) % 2
    quiet, loud = (task((waves * factor, labels), "res8-narrow", rate=8000) for factor in (1, 2**15))
    assert "full scale" not in quiet.notes[0]
    assert "they go up to" in loud.notes[0]
    assert "and full scale is 1" in loud.notes[0]


def test_numbers_of_pictures_are_told_from_classes():
    with pytest.raises(DataError, match='got float32 as classes; for targets that are numbers give loss="mse"'):
        task((torch.rand(60, 1, 4, 4), torch.rand(60)), nn.Flatten)


def test_whatever_a_dataset_of_pictures_raises_its_sample_is_named():
    class Broken(Pictures):
        def __getitem__(self, place):
            return super().__getitem__(place)[0], 1 / (place != 5) - 1

    with pytest.raises(DataError, match="train, sample 5: cannot be read: ZeroDivisionError"):
        task(Broken(lambda x: x), lambda: nn.Conv2d(3, 2, 1))
