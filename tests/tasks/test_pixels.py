"""Pixels are what the picture shows: turned, without hidden colours, with every level. Pillow and NumPy are oracles."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from calando.errors import DataError
from calando.tasks.data.arrays import as_images
from calando.tasks.data.folder import read_folder
from calando.tasks.data.images import decode_all
from calando.tasks.torch_dataset import DatasetSource

ORIENTATION = 0x0112


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """One picture as a file's content."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def deep_png(pixels: np.ndarray, *, key: tuple[int, ...] = ()) -> bytes:
    """A PNG of 16 bits a colour [H, W, C], C of 1 (grey), 2 (and alpha), 3 (RGB) or 4 (and alpha)."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    previous, rows = bytes(2 * channels * width), []
    for i, row in enumerate(pixels.astype(">u2")):
        raw = row.tobytes()
        up = bytes((a - b) & 255 for a, b in zip(raw, previous, strict=True))  # filter 2, so that filters matter
        rows.append(b"\x02" + up if i % 2 else b"\x00" + raw)
        previous = raw
    transparent = chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)) if key else b""
    body = chunk(b"IHDR", head) + transparent + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def deep_tiff(pixels: np.ndarray, *, order: str) -> bytes:
    """A TIFF of 16 bits a colour [H, W, 3], not compressed, in "<" or ">"."""
    height, width, channels = pixels.shape
    body = pixels.astype(f"{order}u2").tobytes()
    bits_at = 8
    data_at = bits_at + 2 * channels + 2
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, channels, bits_at), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 4, 1, data_at), (277, 3, 1, channels), (278, 3, 1, height), (279, 4, 1, len(body))]
    table = struct.pack(f"{order}H", len(tags))
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        table += struct.pack(f"{order}HHI", tag, kind, count)
        table += struct.pack(f"{order}H2x" if short else f"{order}I", value)
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(f"{order}I", data_at + len(body))
    return head + struct.pack(f"{order}{channels}H2x", *[16] * channels) + body + table + bytes(4)


def decode(*contents: bytes, fitted_on: int | None = None) -> tuple[np.ndarray, str]:
    """The array, and what is said."""
    notes: list[str] = []
    images = decode_all(len(contents), contents.__getitem__, lambda i: f"picture {i}", fitted_on=fitted_on, notes=notes)
    return images, " ".join(notes)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_pictures_are_turned_as_exif_says(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    ramp = np.add.outer(np.arange(24) * 3, np.arange(16) * 9).astype(np.uint8)
    content = encoded(Image.fromarray(np.stack([ramp, 255 - ramp, ramp // 2], -1)), kind, exif=exif)
    images, message = decode(content)
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()
        upright = np.asarray(ImageOps.exif_transpose(picture))
    assert np.array_equal(images[0], upright.transpose(2, 0, 1))
    if kind != "TIFF":  # Pillow turns those itself
        assert ("1 of 1 turned as their EXIF says" in message) == (orientation in range(2, 9))


def test_turned_pictures_have_the_size_of_the_others() -> None:
    """Phones write landscape pixels and say "turn": no picture is resized for it, and none keeps two sizes apart."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    upright = np.arange(96, dtype=np.uint8).reshape(12, 8)
    turned = encoded(Image.fromarray(np.rot90(upright)), "PNG", exif=exif)
    images, message = decode(turned, *[encoded(Image.fromarray(upright))] * 3, turned)
    assert (images == upright).all()
    assert message == "pictures: 2 of 5 turned as their EXIF says"


def test_damaged_exif_is_said_and_nothing_is_turned() -> None:
    content = encoded(Image.fromarray(np.zeros((8, 8), np.uint8)), "JPEG", exif=b"Exif\x00\x00MM\x00\x2anonsense")
    images, message = decode(content)
    assert images.shape == (1, 1, 8, 8)
    assert message in ("", "pictures: 1 of 1 with EXIF that cannot be read: not turned")


HIDDEN = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)


def seen_through(mode: str, hidden: np.ndarray) -> bytes:
    """A picture of value 40 on the left; on the right the given colours, fully transparent."""
    colour = hidden.copy()
    colour[:, :4] = 40
    alpha = np.zeros((8, 8, 1), np.uint8)
    alpha[:, :4] = 255
    grey = colour[:, :, :1]
    match mode:
        case "RGBA":
            return encoded(Image.fromarray(np.concatenate([colour, alpha], 2)))
        case "WEBP":
            four = Image.fromarray(np.concatenate([colour, alpha], 2))
            return encoded(four, "WEBP", lossless=True, exact=True)
        case "TIFF":
            return encoded(Image.fromarray(np.concatenate([colour, alpha], 2)), "TIFF")
        case "LA":
            return encoded(Image.fromarray(np.concatenate([grey, alpha], 2)))
        case "P":
            palette = np.zeros((256, 3), np.uint8)
            palette[0], palette[1:] = 40, hidden.reshape(-1, 3).repeat(4, 0)[:255]
            picture = Image.fromarray(np.where(alpha[:, :, 0] > 0, 0, 1 + grey[:, :, 0] % 255).astype(np.uint8))
            picture.putpalette(palette.tobytes())
            return encoded(picture, transparency=bytes([255] + [0] * 255))
        case "GIF" | "P1":
            palette = bytes([40] * 3) + hidden[0, 0].tobytes() + bytes(762)
            picture = Image.fromarray((alpha[:, :, 0] == 0).astype(np.uint8))
            picture.putpalette(palette)
            return encoded(picture, "GIF" if mode == "GIF" else "PNG", transparency=1)
        case "RGB key":
            colour[:, 4:] = hidden[0, 0] // 2 + 100
            return encoded(Image.fromarray(colour), transparency=tuple((hidden[0, 0] // 2 + 100).tolist()))
        case "L key":
            grey[:, 4:] = hidden[0, 0, 0] // 2 + 100
            return encoded(Image.fromarray(grey[:, :, 0]), transparency=int(hidden[0, 0, 0] // 2 + 100))
        case "RGBA 16":
            return deep_png(np.concatenate([colour, alpha], 2).astype(np.uint16) * 257)
        case "LA 16":
            return deep_png(np.concatenate([grey, alpha], 2).astype(np.uint16) * 257)
        case "RGB key 16":
            wide = colour.astype(np.uint16) * 257
            wide[:, 4:] = hidden[0, 0].astype(np.uint16) * 7 + 11000
            return deep_png(wide, key=tuple((hidden[0, 0].astype(int) * 7 + 11000).tolist()))
    raise AssertionError(mode)


MODES = ["RGBA", "WEBP", "TIFF", "LA", "P", "P1", "GIF", "RGB key", "L key", "RGBA 16", "LA 16", "RGB key 16"]


@pytest.mark.parametrize("mode", MODES)
def test_colours_that_nobody_sees_are_not_read(mode: str) -> None:
    first, second = (decode(seen_through(mode, hidden)) for hidden in HIDDEN)
    assert seen_through(mode, HIDDEN[0]) != seen_through(mode, HIDDEN[1])
    assert np.array_equal(first[0], second[0])
    scaled = first[0] if first[0].dtype == np.uint8 else first[0] * 255
    assert scaled[:, :, :, :4] == pytest.approx(40)
    assert scaled[:, :, :, 4:] == pytest.approx(255)
    assert "1 of 1 with transparent pixels: laid on white" in first[1]


def test_half_transparent_pixels_are_pillows() -> None:
    four = np.random.default_rng(1).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    white = Image.new("RGBA", (16, 16), "white")
    expected = np.asarray(Image.alpha_composite(white, Image.fromarray(four)).convert("RGB")).transpose(2, 0, 1)
    images, _ = decode(encoded(Image.fromarray(four)))
    assert np.abs(images[0].astype(int) - expected).max() <= 1


def test_grey_with_alpha_is_one_channel_and_opaque_pixels_are_unchanged() -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    images, message = decode(encoded(Image.fromarray(np.stack([grey, np.full_like(grey, 255)], -1))))
    assert np.array_equal(images[0, 0], grey)
    assert message == ""


@pytest.mark.parametrize("low_bits", [1, 2, 4])
def test_a_transparent_grey_of_few_bits_is_the_pixels_of_that_grey(low_bits: int) -> None:
    content = bytearray(encoded(Image.fromarray(np.zeros((8, 8), np.uint8))))
    top = 2**low_bits - 1
    rows = b"".join(
        b"\x00" + bytes([int(("0" * (low_bits - 1) + "1") * (8 // low_bits), 2)] * low_bits) for _ in range(8)
    )
    head = struct.pack(">IIBBBBB", 8, 8, low_bits, 0, 0, 0, 0)
    parts = [(b"IHDR", head), (b"tRNS", struct.pack(">H", 1)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in parts)
    images, message = decode(bytes(content[:8]) + b"".join(chunks))
    assert (images == 255).all(), (images, top)
    assert "laid on white" in message


LEVELS = {10: 1023, 12: 4095, 14: 16383, 16: 65535}


@pytest.mark.parametrize("bits", LEVELS)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "big-endian TIFF", "PGM", "PNG colour", "TIFF <", "TIFF >", "PPM"])
def test_every_level_of_deep_pictures_is_kept(bits: int, kind: str) -> None:
    top = LEVELS[bits]
    rng = np.random.default_rng(bits)
    pictures = []
    for i in range(2):
        channels = 3 if kind in ("PNG colour", "TIFF <", "TIFF >", "PPM") else 1
        pixels = rng.integers(0, top + 1, (16, 16, channels))
        pixels[0, 0] = top if i == 0 else top // 3  # a scale of each picture's own would show
        pictures.append(pixels.astype(np.uint16))

    def content(pixels: np.ndarray) -> bytes:
        grey = Image.fromarray(pixels[:, :, 0])
        match kind:
            case "PNG":
                return encoded(grey)
            case "TIFF":
                return encoded(grey, "TIFF", compression="tiff_lzw")
            case "big-endian TIFF":
                return encoded(Image.frombytes("I;16B", grey.size, pixels[:, :, 0].astype(">u2").tobytes()), "TIFF")
            case "PGM":
                return b"P5 16 16 65535\n" + pixels.astype(">u2").tobytes()
            case "PPM":
                return b"P6\n# by hand\n16 16\n65535\n" + pixels.astype(">u2").tobytes()
            case "PNG colour":
                return deep_png(pixels)
        return deep_tiff(pixels, order=kind[-1])

    images, message = decode(*map(content, pictures))
    expected = np.stack(pictures).transpose(0, 3, 1, 2) / np.float32(top)
    assert images.dtype == np.float32
    assert np.allclose(images, expected, rtol=1e-6, atol=0)
    assert f"the largest value of the training part is {top}; divided by {top}, every level is kept" in message


def test_the_scale_is_the_training_parts() -> None:
    """A brighter picture of the test part changes nothing of the training part."""
    train = np.arange(1024, dtype=np.uint16).reshape(32, 32)
    alone, _ = decode(encoded(Image.fromarray(train)))
    both, _ = decode(encoded(Image.fromarray(train)), encoded(Image.fromarray(train * 60)), fitted_on=1)
    assert np.array_equal(both[0], alone[0])
    assert both[1].max() == pytest.approx(60)


def test_eight_bits_in_files_of_sixteen_are_eight_bits() -> None:
    """As converters write them: times 257, times 256, or as they are."""
    eight = np.arange(256, dtype=np.uint16).reshape(16, 16)
    for factor in (1, 256, 257):
        images, message = decode(encoded(Image.fromarray(eight * factor)))
        assert images.dtype == np.uint8
        assert np.array_equal(images[0, 0], eight)
        assert "8 bits keep every level" in message


def test_deep_and_shallow_pictures_share_one_scale() -> None:
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    deep = np.linspace(0, 4095, 256).round().astype(np.uint16).reshape(16, 16)
    images, _ = decode(encoded(Image.fromarray(eight)), encoded(Image.fromarray(deep)))
    assert np.abs(images[0] - images[1]).max() < 1 / 1000


@given(st.integers(1, 65535), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_levels_never_merge(top: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, top + 1, (2, 12, 12)).astype(np.uint16)
    images, _ = decode(*(encoded(Image.fromarray(picture)) for picture in pixels))
    assert len(np.unique(images)) == len(np.unique(pixels))
    order = np.argsort(pixels.ravel(), kind="stable")
    assert (np.diff(images.ravel()[order].astype(float)) >= 0).all()


def test_floats_and_wide_whole_numbers_are_read_as_they_are() -> None:
    floats = np.linspace(-3, 1000, 64, dtype=np.float32).reshape(8, 8)
    images, message = decode(encoded(Image.fromarray(floats), "TIFF"))
    assert np.array_equal(images[0, 0], floats)
    assert "floats" in message
    signed = np.linspace(-2000, 3000, 64).astype(np.int32).reshape(8, 8)
    images, _ = decode(encoded(Image.fromarray(signed), "TIFF"))
    assert np.allclose(images[0, 0], signed / 4095)
    with pytest.raises(DataError, match="picture 0: pixels are floats, those of picture 1 whole numbers"):
        decode(encoded(Image.fromarray(floats), "TIFF"), encoded(Image.fromarray(signed), "TIFF"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_mode_is_what_pillow_shows(mode: str) -> None:
    colour = Image.fromarray(HIDDEN[0]).resize((16, 16))
    kind = {"CMYK": "TIFF", "YCbCr": "TIFF"}.get(mode, "PNG")
    content = encoded(colour.convert(mode), kind)
    images, _ = decode(content)
    with Image.open(io.BytesIO(content)) as picture:
        shown = np.asarray(picture.convert("L" if mode in ("1", "L", "LA") else "RGB"))
    assert np.array_equal(images[0], shown[None] if shown.ndim == 2 else shown.transpose(2, 0, 1))


def test_only_the_first_of_several_frames_is_read_and_said() -> None:
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (10, 200)]
    images, message = decode(encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
    assert (images == 10).all()
    assert "1 of 1 of several frames or pages: the first is read" in message


def test_what_is_resized_or_made_rgb_is_said() -> None:
    small, large = (Image.fromarray(np.full((n, n), 9, np.uint8)) for n in (8, 20))
    _, message = decode(encoded(small), encoded(small), encoded(large), encoded(small.convert("RGB")))
    assert "3 of 4 grey among coloured ones: made RGB" in message
    assert "1 of 4 resized to 8x8, the most common size" in message


def test_the_cache_keeps_what_was_said_and_floats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    monkeypatch.setattr(
        "calando.tasks.data.images.cached.__kwdefaults__", {"worth_seconds": 0, "form": "", "notes": None}
    )
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(4):
            pixels = np.random.default_rng(i).integers(0, 4096, (32, 32)).astype(np.uint16)
            (tmp_path / name / f"{i}.png").write_bytes(encoded(Image.fromarray(pixels)))
    first, second = read_folder(tmp_path), read_folder(tmp_path)
    assert len(list(own_cache.rglob("*.npy"))) == 1
    assert first.train.images.dtype == second.train.images.dtype == np.float32
    assert np.array_equal(first.train.images, second.train.images)
    assert first.notes == second.notes
    assert "every level is kept" in first.notes[1]


def test_what_is_advised_for_whole_numbers_keeps_them() -> None:
    pixels = np.arange(2 * 64, dtype=np.uint16).reshape(2, 8, 8) * 500
    with pytest.raises(DataError, match=r"got uint16; convert them with x\.astype\('float32'\)") as refused:
        as_images(pixels, origin="x")
    assert "would wrap" in str(refused.value)
    assert np.array_equal(as_images(pixels.astype("float32"), origin="x")[:, 0], pixels)


@pytest.mark.parametrize("tensor", [True, False])
def test_so_is_what_is_advised_for_a_dataset(tensor: bool) -> None:
    deep = (np.arange(64, dtype=np.uint16) * 500).reshape(8, 8)
    kinds = {"array": deep, "PIL": Image.fromarray(deep), "int": deep.astype(np.int32), "bool": deep > 500}
    if tensor:
        kinds = {name: torch.from_numpy(np.asarray(value).copy()) for name, value in kinds.items()}
    for image in kinds.values():
        with pytest.raises(
            DataError, match=r"sample 0: .* got .*(torch\.)?(uint16|int32|bool); convert it .* to float32"
        ):
            DatasetSource([(image, 0)], origin="mine")
        floats = image.to(torch.float32) if tensor else np.asarray(image).astype("float32")
        assert torch.equal(
            DatasetSource([(floats, 0)], origin="x").fetch(torch.tensor([0]))[0, 0], torch.as_tensor(floats)
        )


def test_a_palettes_numbers_are_no_pixels() -> None:
    picture = Image.fromarray(HIDDEN[0]).convert("P")
    with pytest.raises(DataError, match=r"has a palette .* image\.convert\('RGB'\)"):
        DatasetSource([(picture, 0)], origin="mine")
    assert DatasetSource([(picture.convert("RGB"), 0)], origin="mine").shape == (3, 8, 8)
