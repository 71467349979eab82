"""Strategies are told apart by colour where sight allows, and by dash and shape where it does not."""

import itertools

import numpy as np
import pytest

from calando.report.palette import COLOURS, line_styles
from calando.strategy import PRESETS

# Machado, Oliveira & Fernandes 2009, severity 1.0, on linear RGB.
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def linear(colour):
    """Linear RGB of "#rrggbb"."""
    sent = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(sent <= 0.04045, sent / 12.92, ((sent + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    """Ottosson 2020; distances in it are about as large as differences look."""
    to_lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return to_lab @ np.cbrt(to_lms @ np.clip(rgb, 0, 1))


def contrast(one, other):
    """WCAG contrast ratio."""
    bright = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (bright[1] + 0.05) / (bright[0] + 0.05)


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_stay_apart_for_every_sight(sight):
    seen = [oklab(SIGHTS[sight] @ linear(colour)) for colour in COLOURS]
    closest = min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2))
    assert closest > 0.07


@pytest.mark.parametrize("ground", ["#ffffff", "#171b21"])
def test_colours_stand_out_from_the_page(ground):
    assert min(contrast(colour, ground) for colour in COLOURS) > 2.5


def test_all_presets_together_look_different_and_keep_their_looks():
    names = [f"strategy {place}" for place in range(max(48, len(PRESETS)))]
    assert len(set(line_styles(names).values())) == len(names)
    assert line_styles(names[:5]) == {name: line_styles(names)[name] for name in names[:5]}
