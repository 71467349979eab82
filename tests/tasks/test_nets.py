"""Networks: the papers' sizes, shapes, and what shortcuts do."""

import pickle
import sys
import types
from pathlib import Path

import pytest
import torch
from torch import nn

from calando.errors import UnknownName, UsageError
from calando.tasks.catalog import find_network
from calando.tasks.network_factory import NetworkFactory, check_network_fits


def build(name: str, *, channels: int = 3, classes: int = 10, size: int = 32) -> nn.Module:
    return NetworkFactory(name, channels, classes, (size, size))()


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def resnet_count(n: int, channels: int = 3, classes: int = 10) -> int:
    """He et al., sec. 4.2: 6n+1 convolutions of 3x3, a norm (2 per channel) after each, one linear layer."""
    convolutions = channels * 16 + 2 * n * 16 * 16 + 16 * 32 + (2 * n - 1) * 32 * 32 + 32 * 64 + (2 * n - 1) * 64 * 64
    norms = 16 + 2 * n * (16 + 32 + 64)
    return 9 * convolutions + 2 * norms + 64 * classes + classes


@pytest.mark.parametrize(
    ("depth", "millions"),  # He et al., table 6
    [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)],
)
def test_resnets_have_the_papers_size(depth: int, millions: float) -> None:
    for family in ("resnet", "plain"):
        net = build(f"{family}{depth}")
        assert count(net) == resnet_count((depth - 2) // 6)
        assert round(count(net) / 1e6, 1 if millions > 1 else 2) == millions
        weighted = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        assert len(weighted) == depth


def test_resnet_sizes_are_pinned() -> None:
    assert [count(build(f"resnet{depth}")) for depth in (8, 14, 20, 56, 110)] == [
        75_290,
        172_506,
        269_722,
        853_018,
        1_727_962,
    ]


@pytest.mark.parametrize(
    ("name", "millions"),  # Zagoruyko & Komodakis, tables 3 and 4
    [("wrn-16-4", 2.7), ("wrn-40-1", 0.6), ("wrn-40-2", 2.2), ("wrn-16-8", 11.0), ("wrn-28-10", 36.5)],
)
def test_wide_resnets_have_the_papers_size(name: str, millions: float) -> None:
    assert round(count(build(name)) / 1e6, 1) == millions


@pytest.mark.parametrize(
    "name", ["cnn", "resnet8", "plain8", "resnet8-nonorm", "plain8-nonorm", "resnet14", "wrn-10-2", "wrn-10-1-drop0.3"]
)
@pytest.mark.parametrize(("channels", "size"), [(1, 4), (1, 8), (1, 28), (3, 32), (3, 33)])
def test_shapes(name: str, channels: int, size: int) -> None:
    torch.manual_seed(0)
    net = build(name, channels=channels, classes=7, size=size)
    images = torch.randn(2, channels, size, size)
    output = net(images)
    assert output.shape == (2, 7)
    output.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    check_network_fits(NetworkFactory(name, channels, 7, (size, size)))


@pytest.mark.parametrize("name", ["cnn", "resnet8", "plain14", "wrn-10-1"])
def test_the_seed_decides_the_weights(name: str) -> None:
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(torch.cat([parameter.flatten() for parameter in build(name, size=8).parameters()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def silenced(name: str) -> nn.Sequential:
    """The last norm of each block set to 0, so that a block gives its shortcut alone."""
    net = build(name)
    assert isinstance(net, nn.Sequential)
    for module in net.modules():
        if hasattr(module, "norm2"):
            nn.init.zeros_(module.norm2.weight)
    return net


def test_shortcuts_pass_the_input_and_pad_with_zero_channels() -> None:
    torch.manual_seed(0)
    blocks = [layer for layer in silenced("resnet14") if hasattr(layer, "conv1")]
    x = torch.rand(2, 16, 32, 32)
    assert torch.equal(blocks[0](x), x)
    down = blocks[2](x)
    assert torch.equal(down[:, :16], x[:, :, ::2, ::2])
    assert torch.equal(down[:, 16:], torch.zeros(2, 16, 16, 16))


def test_plain_networks_have_none() -> None:
    blocks = [layer for layer in silenced("plain14") if hasattr(layer, "conv1")]
    assert torch.equal(blocks[0](torch.rand(2, 16, 32, 32)), torch.zeros(2, 16, 32, 32))


def test_plain_and_residual_start_from_equal_weights() -> None:
    torch.manual_seed(3)
    plain = build("plain14").state_dict()
    torch.manual_seed(3)
    residual = build("resnet14").state_dict()
    assert plain.keys() == residual.keys()
    assert all(torch.equal(plain[key], residual[key]) for key in plain)


@pytest.mark.parametrize("name", ["plain14", "resnet14"])
def test_nonorm_leaves_batch_norm_out_and_nothing_else(name: str) -> None:
    torch.manual_seed(3)
    normed = build(name)
    torch.manual_seed(3)
    bare = build(f"{name}-nonorm")
    assert not [module for module in bare.modules() if isinstance(module, nn.BatchNorm2d)]
    convolutions = [[m for m in net.modules() if isinstance(m, nn.Conv2d)] for net in (normed, bare)]
    assert len(convolutions[0]) == len(convolutions[1]) == 13
    for a, b in zip(*convolutions, strict=True):
        assert a.weight.shape == b.weight.shape
        assert a.bias is None
        assert torch.equal(b.bias, torch.zeros_like(b.bias))
    # As many numbers as batch norm has shifts: what is missing is its scales.
    assert count(normed) - count(bare) == sum(len(one.bias) for one in convolutions[1])


def test_nonorm_blocks_keep_their_shortcuts() -> None:
    for name, passes in (("resnet14-nonorm", True), ("plain14-nonorm", False)):
        torch.manual_seed(0)
        block = next(layer for layer in build(name).children() if hasattr(layer, "conv1"))
        nn.init.zeros_(block.conv2.weight)
        x = torch.rand(2, 16, 8, 8)
        assert torch.equal(block(x), x if passes else torch.zeros_like(x))


def test_wide_blocks_add_their_input() -> None:
    torch.manual_seed(0)
    net = build("wrn-16-1").eval()
    block = [layer for layer in net.children() if hasattr(layer, "conv2")][1]
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 16, 8, 8)
    assert torch.equal(block(x), x)


def test_dropout_is_where_it_is_asked_for() -> None:
    def rates(name: str) -> set[float]:
        return {module.p for module in build(name).modules() if isinstance(module, nn.Dropout)}

    assert rates("wrn-10-1-drop0.25") == {0.25}
    assert rates("wrn-10-1") == set()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet9", "depth must be 6n\\+2 with n >= 1; the nearest is 8 or 14"),
        ("plain2", "the nearest is 8"),
        ("wrn-17-4", "depth must be 6n\\+4 with n >= 1; the nearest is 16 or 22"),
        ("wrn-16-0", "width must be at least 1"),
        ("timm:", "write timm:NAME"),
    ],
)
def test_depths_that_do_not_exist(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_network(name)


@pytest.mark.parametrize(
    "name", ["resnt20", "ResNet20", "", "resnet", "wrn-16", "folder:x", "resnet20 ", "wrn-16-4-drop1.5"]
)
def test_unknown_networks_list_the_patterns(name: str) -> None:
    with pytest.raises(UnknownName, match=r"choices: cnn, .* patterns: .*resnet8 … resnet110; .* MODULE:CALLABLE"):
        find_network(name)
    with pytest.raises(UnknownName, match="did you mean 'resnet20'"):
        find_network("resnt20")


def test_cnn_says_how_small_is_too_small() -> None:
    with pytest.raises(UsageError, match="at least 4x4, these are 3x3"):
        build("cnn", size=3)


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_packages_that_are_missing_are_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=f"not installed; run: pip install {package}"):
        build(f"{package}:resnet18")


def stand_in(package: str) -> types.ModuleType:
    """A package with the functions of timm or torchvision that are used, and one network: 'small'."""

    def small(in_channels: int, classes: int) -> nn.Module:
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_channels, classes))

    module = types.ModuleType(package)
    module.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    if package == "timm":
        module.is_model = lambda name: name == "small"
        module.list_models = lambda: ["small", "tiny"]
        module.create_model = lambda name, pretrained, num_classes, in_chans: small(in_chans, num_classes)
    else:
        module.models = types.SimpleNamespace(
            list_models=lambda: ["small", "tiny"], get_model=lambda name, weights, num_classes: small(3, num_classes)
        )
    return module


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_networks_of_packages(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, stand_in(package))
    assert build(f"{package}:small", classes=5)(torch.zeros(2, 3, 32, 32)).shape == (2, 5)
    with pytest.raises(UnknownName, match=f"unknown {package} network 'smal'; did you mean 'small'"):
        build(f"{package}:smal")
    if package == "timm":
        assert build("timm:small", channels=1)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    else:
        with pytest.raises(UsageError, match="takes images of 3 channels, these have 1"):
            build("torchvision:small", channels=1)


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_the_real_packages_where_installed(package: str) -> None:
    pytest.importorskip(package)
    check_network_fits(NetworkFactory(f"{package}:resnet18", 3, 10, (32, 32)))


OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, in_channels):
        super().__init__()
        self.linear = nn.Linear(in_channels, classes)

    def forward(self, x):
        return self.linear(x.mean((2, 3)))

def plain():
    return Net(10, 3)

def wide(*, classes, image_size=None, other=1):
    return Net(classes, 3)

class Nested:
    net = Net

def fails(classes):
    raise KeyError("oh no")

def wrong(classes):
    return classes

def two(classes):
    return Net(2, 3)

def narrow(classes):
    return Net(classes, 4)

def frozen():
    return nn.Flatten()

constant = 3
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's; its name."""
    name = f"nets_of_{tmp_path.name}".replace("-", "_").replace("[", "_").replace("]", "_")
    (tmp_path / f"{name}.py").write_text(OWN)
    (tmp_path / f"{name}_broken.py").write_text("import no_such_package_at_all")
    (tmp_path / f"{name}_syntax.py").write_text("def f(:")
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize("path", ["Net", "plain", "wide", "Nested.net"])
def test_your_own_network(own_module: str, path: str) -> None:
    factory = NetworkFactory(f"{own_module}:{path}", 3, 10, (8, 8))
    check_network_fits(factory)
    assert factory()(torch.zeros(2, 3, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (":fails", r"network '.*:fails' failed: KeyError: 'oh no' \(.*\.py, line \d+\)"),
        (":wrong", "must return a torch.nn.Module, got int"),
        (":two", r"must give \[N, 10\] scores for images of 3x8x8, got \(2, 2\)"),
        (":narrow", "does not take images of 3x8x8: RuntimeError: mat1 and mat2"),
        (":frozen", "has no weights to train"),
        (":constant", "is of type int and cannot be called"),
        (":absent", "has no 'absent'; it has Nested, Net, fails"),
        ("_broken:Net", "cannot import .*: ModuleNotFoundError: No module named 'no_such_package_at_all'"),
        ("_syntax:Net", "cannot import .*: SyntaxError"),
        ("_nowhere:Net", "cannot import .*: ModuleNotFoundError"),
    ],
)
def test_faults_of_your_own_network_are_reported_in_one_line(own_module: str, path: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        check_network_fits(NetworkFactory(f"{own_module}{path}", 3, 10, (8, 8)))
    assert "\n" not in str(caught.value)


def test_looking_at_a_network_leaves_the_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    check_network_fits(NetworkFactory("resnet8", 3, 10, (32, 32)))
    assert torch.equal(torch.get_rng_state(), before)


def test_factories_are_values() -> None:
    factory = NetworkFactory("resnet20", 3, 10, (32, 32))
    assert pickle.loads(pickle.dumps(factory)) == factory
    assert NetworkFactory("x", 1, 2, (8, 8), nn.Flatten) == NetworkFactory("x", 1, 2, (8, 8), nn.Flatten)
