"""What is doubtful about samples that a person gives, a sentence each: they change at random, or lie on their side."""

from __future__ import annotations

from collections.abc import Mapping

from calando.language import joined, message
from calando.tasks.nested_dataset import NestedDataset
from calando.tasks.source import Source
from calando.tasks.torch_dataset import DatasetSource

__all__ = ["doubts_of_images", "varying"]


def doubts_of_images(sources: dict[str, Source]) -> tuple[str, ...]:
    """Warnings of parts that vary, and of pictures that are to be rotated."""
    return (
        *varying(sources, message("pixels")),
        *(
            message(
                "{name}: {turned} of {count} PIL images are to be rotated by their EXIF and are read "
                "without; rotate them in the data set's transform: PIL.ImageOps.exif_transpose(image)",
                name=name,
                turned=source.turned,
                count=len(source),
            )
            for name, source in sources.items()
            if isinstance(source, DatasetSource) and source.turned
        ),
    )


def varying(sources: Mapping[str, Source], what: str) -> list[str]:
    """Warnings of parts that are evaluated on samples that vary from read to read."""
    read = {name: source for name, source in sources.items() if isinstance(source, DatasetSource | NestedDataset)}
    found: list[str] = [
        message(
            "{name}: two reads of sample {place} differ, so its scores are of {what} changed at "
            "random; give it without random transforms",
            name=name,
            place=place,
            what=what,
        )
        for name in ("validation", "test", "clean")
        if name in read and (place := read[name].first_that_varies()) is not None
    ]
    cut = joined(
        "{one} and {other}",
        [message("the {part} part", part=message(name)) for name in ("validation", "test") if name not in sources],
    )
    doubtful = cut and "clean" not in sources and "train" in read
    if doubtful and (place := read["train"].first_that_varies()) is not None:
        found.append(
            message(
                "train: two reads of sample {place} differ: {cut} cut from it get its random transforms "
                "too; give clean=, the same samples in the same order without them, or validation= and "
                "test=",
                place=place,
                cut=cut,
            )
        )
    return found
