"""Networks for tables and text: shapes, sizes, and that nothing sees what it is to predict."""

from pathlib import Path

import pytest
import torch
from torch import nn

from calando.errors import UnknownName, UsageError
from calando.tasks.catalog import find_network
from calando.tasks.network_factory import NetworkFactory

GPT = "transformers:gpt2,n_layer=1,n_head=2,n_embd=16"
VIT = "transformers:vit,hidden_size=16,num_hidden_layers=1,num_attention_heads=2,intermediate_size=32,patch_size=4"


def build(name: str, *, inputs: tuple[int, ...], classes: int = 5) -> nn.Module:
    torch.manual_seed(0)
    return NetworkFactory(name, None, classes, None, inputs=inputs)()


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("linear", 10 * 5 + 5),
        ("mlp-7", 10 * 7 + 7 + 7 * 5 + 5),
        ("mlp-7-3", 10 * 7 + 7 + 7 * 3 + 3 + 3 * 5 + 5),
        ("mlp", 10 * 128 + 128 + 128 * 128 + 128 + 128 * 5 + 5),
        ("mlp-128-128", 10 * 128 + 128 + 128 * 128 + 128 + 128 * 5 + 5),
    ],
)
def test_perceptrons(name: str, parameters: int) -> None:
    net = build(name, inputs=(10,))
    assert count(net) == parameters
    assert net(torch.randn(3, 10)).shape == (3, 5)
    assert build(name, inputs=(2, 5))(torch.randn(3, 2, 5)).shape == (3, 5)


@pytest.mark.parametrize("name", ["gru-16", "gru-8-2", GPT])
def test_of_text_each_token_is_predicted_from_those_before(name: str) -> None:
    net = build(name, inputs=(6,), classes=11).eval()
    tokens = torch.randint(11, (4, 6))
    scores = net(tokens)
    assert scores.shape == (4, 6, 11)
    for place in range(1, 6):
        other = tokens.clone()
        other[:, place] = (other[:, place] + 1) % 11
        changed = (net(other) - scores).abs().amax((0, 2))
        assert (changed[:place] < 1e-5).all()
        assert (changed[place:] > 1e-6).any()


def test_the_seed_decides_the_weights() -> None:
    for name in ("mlp-7", "gru-8", GPT):
        first, second = (build(name, inputs=(6,)).state_dict() for _ in range(2))
        assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mlp-0", "1 to 65,536 units each, e.g. mlp-128-128"),
        ("mlp-99999999", "units each"),
        ("gru-0", "the width must be 1 to 8192"),
        ("gru-8-99", "the layers 1 to 16"),
        ("transformers:", "names no network; write transformers:NAME"),
    ],
)
def test_sizes_that_do_not_exist(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_network(name)


def test_a_network_for_text_takes_no_tables() -> None:
    with pytest.raises(UsageError, match="takes windows of token numbers"):
        build("gru-8", inputs=(3, 4))
    with pytest.raises(UsageError, match="whole, got torch.float32"):
        build("gru-8", inputs=(3,))(torch.randn(2, 3))


def test_images_by_a_config() -> None:
    net = NetworkFactory(VIT, 1, 7, (8, 8), inputs=(1, 8, 8))()
    assert net(torch.randn(2, 1, 8, 8)).shape == (2, 7)


def test_a_config_in_a_folder(tmp_path: Path) -> None:
    from transformers import GPT2Config

    GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=99, n_positions=4).save_pretrained(tmp_path)
    net = build(f"transformers:{tmp_path}", inputs=(6,), classes=11)
    assert net(torch.zeros(1, 6, dtype=torch.int64)).shape == (1, 6, 11)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UsageError, match=r"config.json cannot be read"):
        build(f"transformers:{tmp_path}", inputs=(6,))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpt3", "unknown transformers model 'gpt3'; did you mean .*nothing is fetched from the hub"),
        ("openai-community/gpt2", "nothing is fetched from the hub"),
        ("gpt2,layers=2", "its config has no value 'layers'"),
        ("gpt2,n_layr=2", "did you mean n_layer=…"),
        ("gpt2,n_layer=two", "n_layer must be a number as 12, got 'two'"),
        ("gpt2,n_head=5", "cannot be built"),
        ("vit", "cannot be built"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        build(f"transformers:{name}", inputs=(6,))
    assert "\n" not in str(caught.value)
    if name == "gpt3":
        assert isinstance(caught.value, UnknownName)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="need transformers, which is not installed; run: pip install transformers"):
        build(GPT, inputs=(6,))
