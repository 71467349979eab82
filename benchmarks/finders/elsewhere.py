"""Six workloads off the ground that the finder was calibrated on: what "reliable" is worth elsewhere.

No convolutional classifier among them: a BERT from scratch (normalised after its blocks, without a warmup), a U-Net
with dice loss, an LSTM, an autoencoder, a regression with targets in their own unit, a language model. Plain PyTorch,
as people lend it to `find_lr`; trained with linear decay to zero. The scores are shares of what can be had: accuracy,
dice, 1 - (mean squared error) / (variance of the targets), or the same of entropies; none is below that of a network
that knows nothing.

    bert         digits as 16 tokens of 17 values, four layers of 64, AdamW
    dice         fashion-mnist under noise, its foreground wanted; Adam
    lstm         spoken digits (fsdd), 32 frames of 32 bands; Adam, clipped
    autoencoder  fashion-mnist through 16 numbers; Adam                                       (held out)
    regression   scikit-learn's diabetes data, targets from 25 to 346; SGD with momentum      (held out)
    gpt          the next of 64 tokens of the digits, normalised before its blocks; AdamW     (held out)
"""

from __future__ import annotations

import gzip
import io
import math
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["ELSEWHERE", "Elsewhere", "batches", "loss_of", "score", "start"]

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Data = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """A task of plain PyTorch, with a length of training.

    Args:
        name: data-network-batch-method.
        data: folder -> (inputs, targets, validation inputs, validation targets).
        build: () -> network.
        loss: (outputs, targets) -> the mean loss.
        judge: (outputs, targets) -> score in [0, 1].
        method: strategy text with {lr!r} for the rate; it names what `optimizer` makes.
        optimizer: (network, rate) -> optimizer.
        trivial: score of a network that knows nothing, which a run that diverged gets.
        batch, steps, seeds, centre, held_out: as in `cases.Case`.
        clip: largest norm of the gradient.
        classes: of a cross-entropy, which `find_lr` knows.
        constant: the loss of the best output that is the same for all samples, which it works out for squared errors.
    """

    name: str
    data: Callable[[Path], Data]
    build: Callable[[], nn.Module]
    loss: Loss
    judge: Callable[[torch.Tensor, torch.Tensor], float]
    method: str
    optimizer: Callable[[nn.Module, float], torch.optim.Optimizer]
    trivial: float
    batch: int
    steps: int
    centre: int
    seeds: int = 2
    held_out: bool = False
    clip: float | None = None
    classes: int | None = None
    constant: float | None = None

    @property
    def chance(self) -> float | None:
        """The loss of a network that knows nothing, where that is known."""
        return None if self.classes is None else math.log(self.classes)

    @property
    def definition(self) -> str:
        """What the stored scores belong to."""
        return f"{self.name} {self.batch} {self.steps} {self.method} {self.clip} linear(1, 0)"


def start(case: Elsewhere, *, rate: float, seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Network and optimizer of a seed."""
    torch.manual_seed(seed)
    network = case.build()
    return network, case.optimizer(network, rate)


def batches(case: Elsewhere, folder: Path, *, seed: int, first: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of updates first, first + 1, …: each a function of seed and update."""
    inputs, targets, *_ = case.data(folder)
    step = first
    while True:
        generator = torch.Generator().manual_seed(1_000_003 * seed + step)
        torch.manual_seed(1_000_003 * seed + step)  # of dropout
        chosen = torch.randperm(len(inputs), generator=generator)[: case.batch]
        yield inputs[chosen], targets[chosen]
        step += 1


def loss_of(case: Elsewhere, network: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Of a batch."""
    return case.loss(network(batch[0]), batch[1])


def score(
    case: Elsewhere, folder: Path, *, rate: float, seed: int, share: Callable[[float], float] | None = None
) -> float:
    """Of one run: linear decay to zero, or another `share` of the rate at each share of the run."""
    share = (lambda done: 1 - done) if share is None else share
    network, optimizer = start(case, rate=rate, seed=seed)
    for step, (inputs, targets) in enumerate(batches(case, folder, seed=seed)):
        if step == case.steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = rate * share(step / case.steps)
        loss = case.loss(network(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        if case.clip is not None:
            nn.utils.clip_grad_norm_(network.parameters(), case.clip)
        if not math.isfinite(loss.item()):
            return case.trivial
        optimizer.step()
    *_, inputs, targets = case.data(folder)
    network.eval()
    with torch.no_grad():
        found = case.judge(torch.cat([network(part) for part in inputs.split(500)]), targets)
    return max(case.trivial, found) if math.isfinite(found) else case.trivial


class Bert(nn.Module):
    """Transformers' BERT from its own random start, a class for each sequence."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import BertConfig, BertForSequenceClassification

        self.inner = BertForSequenceClassification(
            BertConfig(
                vocab_size=18, hidden_size=64, num_hidden_layers=4, num_attention_heads=4, intermediate_size=128,
                max_position_embeddings=17, num_labels=10, attn_implementation="eager",
            )
        )  # fmt: skip

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits of [batch, 17] tokens."""
        logits: torch.Tensor = self.inner(input_ids=tokens).logits
        return logits


class Gpt(nn.Module):
    """Blocks that are normalised before attention and MLP; each token sees those before it."""

    def __init__(self, *, vocabulary: int = 18, width: int = 48, depth: int = 2, length: int = 64) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(depth)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(length))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits [batch, vocabulary, length]."""
        hidden = self.tokens(tokens) + self.places.weight
        for block in self.blocks:
            hidden = block(hidden, src_mask=self.mask, is_causal=True)
        return self.head(self.norm(hidden)).transpose(1, 2)


class Unet(nn.Module):
    """One level down and up again; a logit for every pixel."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.down, self.deep = _double(1, width), _double(width, 2 * width)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.out, self.head = _double(2 * width, width), nn.Conv2d(width, 1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of [batch, 1, height, width]."""
        fine = self.down(images)
        coarse = self.up(self.deep(F.max_pool2d(fine, 2)))
        return self.head(self.out(torch.cat([fine, coarse], dim=1)))


def _double(before: int, after: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.Conv2d(after, after, 3, padding=1), nn.ReLU()
    )


class Lstm(nn.Module):
    """The class of a sequence, from the last hidden state."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.LSTM(32, 64, batch_first=True), nn.Linear(64, 10)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Logits of [batch, frames, bands]."""
        return self.head(self.inner(frames)[0][:, -1])


def autoencoder() -> nn.Module:
    """784 - 128 - 16 - 128 - 784."""
    return nn.Sequential(
        nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 16), nn.Linear(16, 128), nn.ReLU(), nn.Linear(128, 784)
    )


def regression() -> nn.Module:
    """Two hidden layers of tanh."""
    return nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))


def dice_loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """1 - 2 sum(p t) / (sum p + sum t), over a batch."""
    shares = outputs.sigmoid()
    return 1 - (2 * (shares * targets).sum() + 1) / (shares.sum() + targets.sum() + 1)


def dice(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    """Of the pixels over one half, as `dice_loss`."""
    said = (outputs > 0).float()
    return float(2 * (said * targets).sum() / (said.sum() + targets.sum()).clamp(min=1))


def accuracy(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    """Share of right classes, which are outputs' second dimension."""
    return float((outputs.argmax(dim=1) == targets).float().mean())


def known(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    """1 - (cross-entropy) / (entropy of all targets together): 0 where only their shares are known."""
    shares = targets.flatten().bincount().double() / targets.numel()
    return 1 - float(F.cross_entropy(outputs, targets)) / float(torch.special.entr(shares).sum())


def explained(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    """1 - (mean squared error) / (variance around each target's mean)."""
    return 1 - float((outputs - targets).square().mean() / (targets - targets.mean(dim=0)).square().mean())


@cache
def tokens(folder: Path, *, fine: bool = False) -> Data:
    """Digits: a start token and 16 means of four pixels, or `fine`, 64 pixels; 0 to 16."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    if not fine:
        images = images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
    order = np.random.default_rng(0).permutation(len(images))
    rows = torch.from_numpy(np.concatenate([np.full((len(images), 1), 17), images.astype(np.int64)], axis=1)[order])
    classes = torch.from_numpy(labels[order])
    return rows[:1297], classes[:1297], rows[1297:], classes[1297:]


@cache
def next_tokens(folder: Path) -> Data:
    """The 64 pixels of digits, each from those before it."""
    train, _, validation, _ = tokens(folder, fine=True)
    return train[:, :-1], train[:, 1:], validation[:, :-1], validation[:, 1:]


@cache
def clothes(folder: Path) -> torch.Tensor:
    """float32[7000, 28, 28] in [0, 1]."""
    with gzip.open(folder / "fashion-mnist" / "train-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(16 + 7000 * 784), np.uint8, offset=16)
    return torch.from_numpy(pixels.reshape(-1, 28, 28).astype(np.float32) / 255)


@cache
def under_noise(folder: Path) -> Data:
    """Images under noise, and where their foreground was."""
    images = clothes(folder)[:3500, None]
    noisy = images + 0.5 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    wanted = (images > 0.3).float()
    return noisy[:3000], wanted[:3000], noisy[3000:], wanted[3000:]


@cache
def flattened(folder: Path) -> Data:
    """Images that are their own targets."""
    images = clothes(folder).flatten(1)
    return images[:6000], images[:6000], images[6000:], images[6000:]


@cache
def diabetes(folder: Path) -> Data:
    """442 patients; the target in its own unit."""
    from sklearn.datasets import load_diabetes

    inputs, targets = load_diabetes(return_X_y=True, scaled=False)
    order = np.random.default_rng(0).permutation(len(inputs))
    x = torch.from_numpy(((inputs - inputs.mean(0)) / inputs.std(0)).astype(np.float32)[order])
    y = torch.from_numpy(targets.astype(np.float32)[order, None])
    return x[:300], y[:300], x[300:], y[300:]


@cache
def spoken(folder: Path) -> Data:
    """fsdd: log energies of 32 frames in 32 bands, over the whole recording."""
    import pyarrow.parquet as pq

    parts = []
    for part in ("train", "test"):
        table = pq.read_table(folder / "fsdd" / f"{part}.parquet").to_pydict()
        frames = np.stack([_frames(entry["bytes"]) for entry in table["audio"]])
        parts.append((frames, np.array(table["label"])))
    mean, deviation = parts[0][0].mean(), parts[0][0].std()
    return tuple(torch.from_numpy(array) for frames, labels in parts for array in ((frames - mean) / deviation, labels))  # type: ignore[return-value]


def _frames(recording: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(recording)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    sound = np.pad(sound, (0, max(0, 512 - len(sound))))
    places = np.linspace(0, len(sound) - 256, 32).astype(int)
    power = np.abs(np.fft.rfft(np.stack([sound[p : p + 256] for p in places]) * np.hanning(256)))[:, 1:129] ** 2
    return np.log(power.reshape(32, 32, 4).sum(-1) + 1e-5).astype(np.float32)


def _adam(network: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=rate)


def _adamw(network: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.01)


def _sgd(network: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)


ADAM, ADAMW, SGD = "adam(lr={lr!r})", "adamw(lr={lr!r})", "sgd(lr={lr!r}, momentum=0.9)"

ELSEWHERE = (
    Elsewhere(
        name="digits-bert-32-adamw", data=tokens, build=Bert, loss=F.cross_entropy, judge=accuracy, method=ADAMW,
        optimizer=_adamw, trivial=0.1, batch=32, steps=300, centre=-10, classes=10,
    ),
    Elsewhere(
        name="fashion-dice-32-adam", data=under_noise, build=Unet, loss=dice_loss, judge=dice, method=ADAM,
        optimizer=_adam, trivial=0.549, batch=32, steps=120, centre=-8,
    ),
    Elsewhere(
        name="fsdd-lstm-64-adam", data=spoken, build=Lstm, loss=F.cross_entropy, judge=accuracy, method=ADAM,
        optimizer=_adam, trivial=0.1, batch=64, steps=300, centre=-7, clip=1.0, classes=10,
    ),
    Elsewhere(
        name="fashion-autoencoder-64-adam", data=flattened, build=autoencoder, loss=F.mse_loss, judge=explained,
        method=ADAM, optimizer=_adam, trivial=0.0, batch=64, steps=300, constant=0.0868, centre=-8, held_out=True,
    ),
    Elsewhere(
        name="diabetes-mlp-32-sgd", data=diabetes, build=regression, loss=F.mse_loss, judge=explained, method=SGD,
        optimizer=_sgd, trivial=0.0, batch=32, steps=300, constant=5929.0, centre=-12, seeds=4, held_out=True,
    ),
    Elsewhere(
        name="digits-gpt-32-adamw", data=next_tokens, build=Gpt, loss=F.cross_entropy, judge=known, method=ADAMW,
        optimizer=_adamw, trivial=0.0, batch=32, steps=150, centre=-9, held_out=True, classes=18,
    ),
)  # fmt: skip
