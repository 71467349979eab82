"""A language model of characters: the next letter of Python's own documentation, which every interpreter carries.

python examples/own_training/characters.py
calando compare examples/own_training/characters.py fixed cosine adamw-cosine -- --size real

Score: bits for each character of text that was not trained on, lower is better. The length is in updates, not epochs.
"""

import argparse
import math
from pydoc_data.topics import topics

import torch
from torch import nn

import calando

GOAL, UNIT = "min", "bits/char"
SIZES = {  # characters, characters in a row, rows in a batch, width, updates
    "tiny": (20_000, 24, 16, 16, 12),
    "real": (600_000, 48, 32, 128, 120),
}


class Letters(nn.Module):
    def __init__(self, alphabet: int, width: int) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(alphabet, width), nn.Linear(width, alphabet)
        self.memory = nn.GRU(width, width, batch_first=True)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        return self.head(self.memory(self.embedding(text))[0])


def train(run: calando.Run, size: str = "tiny") -> None:
    length, row, rows, width, updates = SIZES[size]
    text = "".join(topics[name] for name in sorted(topics))[:length]
    alphabet = sorted(set(text))
    known = torch.tensor([alphabet.index(letter) for letter in text])
    fit, validation, test = known.split(
        [int(0.8 * len(known)), int(0.1 * len(known)), len(known) - int(0.9 * len(known))]
    )
    model = Letters(len(alphabet), width)

    def loss_of(piece: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(model(piece[:, :-1]).flatten(0, 1), piece[:, 1:].flatten())

    def bits(part: torch.Tensor) -> float:
        """For each character, over at most 400 rows."""
        pieces = part[: len(part) // (row + 1) * (row + 1)].view(-1, row + 1)[:400]
        with training.evaluated([fit[: row + 1].view(1, -1)]), torch.no_grad():
            return loss_of(pieces).item() / math.log(2)

    steps = run.steps(updates)
    training = run.follow(model, total_steps=len(steps))
    run.keep(model=model, training=training)
    for step in steps:
        starts = torch.randint(len(fit) - row, (rows,))
        loss = loss_of(torch.stack([fit[start : start + row + 1] for start in starts]))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        training.optimizer.step()
        training.optimizer.zero_grad()
        run.observe(loss=loss)
        if (step + 1) % max(1, len(steps) // 4) == 0 or step + 1 == len(steps):
            score = bits(validation)
            print(f"update {step + 1}: {score:.3f} {UNIT}")
            run.report(score)
    run.finish(test=bits(test))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=SIZES, default="tiny")
    train(calando.run("adamw-cosine", lr=0.003, goal=GOAL, unit=UNIT), parser.parse_args().size)
