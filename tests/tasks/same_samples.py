"""Whether a reader gave back the samples that were written."""

import numpy as np

from calando.tasks.data.arrays import ArrayData


def assert_whole(data: ArrayData, images: np.ndarray, labels: np.ndarray) -> None:
    """Train and test together are these samples, each once; one fifth of each class is the test part."""
    got = np.concatenate([data.train.images, data.test.images])
    got_labels = np.concatenate([data.train.labels, data.test.labels])
    key = [image.tobytes() + bytes([label]) for image, label in zip(got, got_labels, strict=True)]
    assert sorted(key) == sorted(im.tobytes() + bytes([la]) for im, la in zip(images, labels, strict=True))
    for label in np.unique(labels):
        assert (data.test.labels == label).sum() == round(0.2 * (labels == label).sum())


def assert_same(part_images: np.ndarray, part_labels: np.ndarray, images: np.ndarray, labels: np.ndarray) -> None:
    assert part_images.dtype == np.uint8
    assert part_labels.dtype == np.int64
    assert np.array_equal(part_images, images)
    assert np.array_equal(part_labels, labels)
