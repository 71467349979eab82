"""res8, res15, res26 and their plain twins: the paper's sizes, and the numbers of the authors' own code."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from calando.errors import UnknownName, UsageError
from calando.tasks.catalog import find_network
from calando.tasks.network_factory import NetworkFactory, check_network_fits

SIZES = {"res8": 110_307, "res15": 237_882, "res26": 438_357}
NARROW = {"res8-narrow": 19_905, "res15-narrow": 42_648, "res26-narrow": 78_387}
"""Tang & Lin's table: 110K, 238K, 438K; 19.9K, 42.6K, 78.4K, with 12 classes."""

FORMS = {"res8": (6, (4, 3), False), "res15": (13, None, True), "res26": (24, (2, 2), False)}


class Theirs(nn.Module):
    """castorini/honk, utils/model.py, SpeechResModel: on [N, frames, mels]."""

    def __init__(self, layers: int, maps: int, pool: tuple[int, int] | None, dilation: bool, labels: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(1, maps, (3, 3), padding=(1, 1), bias=False)
        self.pool = nn.AvgPool2d(pool) if pool else None
        self.n_layers = layers
        for i in range(layers):
            wide = 2 ** (i // 3) if dilation else 1
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(maps, affine=False))
            self.add_module(f"conv{i + 1}", nn.Conv2d(maps, maps, (3, 3), padding=wide, dilation=wide, bias=False))
        self.output = nn.Linear(maps, labels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.unsqueeze(1)
        for i in range(self.n_layers + 1):
            y = F.relu(getattr(self, f"conv{i}")(x))
            if i == 0:
                if self.pool is not None:
                    y = self.pool(y)
                old_x = y
            if i > 0 and i % 2 == 0:
                x = y + old_x
                old_x = x
            else:
                x = y
            if i > 0:
                x = getattr(self, f"bn{i}")(x)
        x = x.view(x.size(0), x.size(1), -1)
        return self.output(torch.mean(x, 2))


def build(name: str, classes: int = 12) -> nn.Module:
    return NetworkFactory(name, 1, classes, (40, 101))()


def size_of(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(("name", "size"), [*SIZES.items(), *NARROW.items()])
def test_the_papers_sizes_and_the_twins_too(name: str, size: int) -> None:
    assert size_of(build(name)) == size_of(build(f"plain-{name}")) == size


@pytest.mark.parametrize("name", FORMS)
def test_the_authors_code_gives_the_same_numbers(name: str) -> None:
    layers, pool, dilation = FORMS[name]
    torch.manual_seed(1)
    ours, theirs = build(f"{name}-narrow").double(), Theirs(layers, 19, pool, dilation, 12).double()
    with torch.no_grad():
        theirs.conv0.weight.copy_(ours.first.weight.transpose(2, 3))
        for i, conv in enumerate(ours.convs, 1):
            getattr(theirs, f"conv{i}").weight.copy_(conv.weight.transpose(2, 3))
        theirs.output.load_state_dict(ours.output.state_dict())
    x = torch.randn(2, 1, 16, 24, dtype=torch.float64)
    assert torch.allclose(ours(x), theirs(x[:, 0].transpose(1, 2)), atol=1e-12)
    ours.eval(), theirs.eval()
    assert torch.allclose(ours(x), theirs(x[:, 0].transpose(1, 2)), atol=1e-12)


@pytest.mark.parametrize("name", FORMS)
def test_a_plain_twin_is_a_chain(name: str) -> None:
    torch.manual_seed(2)
    twin, residual = build(f"plain-{name}-narrow"), build(f"{name}-narrow")
    residual.load_state_dict(twin.state_dict())
    x = torch.randn(2, 1, 16, 24)
    y = twin.pool(F.relu(twin.first(x)))
    for conv, norm in zip(twin.convs, twin.norms, strict=True):
        y = norm(F.relu(conv(y)))
    assert torch.allclose(twin(x), twin.output(y.flatten(2).mean(2)), atol=1e-5)
    assert not torch.allclose(twin(x), residual(x), atol=1e-2)


def test_they_take_pictures_of_any_channels_and_refuse_too_small_ones() -> None:
    check_network_fits(NetworkFactory("res8", 3, 5, (32, 32)))
    with pytest.raises(UsageError, match=r"network 'res8' pools 3x4 \(height x width\), these pictures are 2x8"):
        check_network_fits(NetworkFactory("res8", 1, 5, (2, 8)))


@pytest.mark.parametrize("name", ["res9", "res8-wide", "plainres8", "plain-resnet8"])
def test_other_names_are_none_of_them(name: str) -> None:
    with pytest.raises(UnknownName, match="unknown network"):
        find_network(name)
