"""A Transformers model in your own loop: what each character of Python source belongs to.

python examples/own_training/transformer.py
calando compare examples/own_training/transformer.py fixed cosine adamw-cosine -- --size real

The model is BERT's, small and with random weights, so that nothing is downloaded; the text is the standard library,
labelled by Python's own tokenizer. Score: characters labelled right, in percent, higher is better.
"""

import argparse
import io
import keyword
import os
import tokenize
from pathlib import Path

import torch
from torch.utils.data import DataLoader, TensorDataset
from transformers import BertConfig, BertForTokenClassification

import calando

GOAL, UNIT = "max", "%"
KINDS = {tokenize.NAME: 1, tokenize.NUMBER: 3, tokenize.STRING: 4, tokenize.COMMENT: 5, tokenize.OP: 6}  # 2: a keyword
SIZES = {  # source files of the standard library, characters in a row, width, layers, epochs
    "tiny": (["keyword.py"], 32, 16, 1, 2),
    "real": (["argparse.py", "typing.py"], 64, 64, 1, 2),
}


def labelled(source: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Each character's code, at most 127, and the kind of the token that it belongs to; 0: between tokens."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    kinds = torch.zeros(len(source), dtype=torch.long)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = 2 if keyword.iskeyword(token.string) else KINDS.get(token.type, 0)
        kinds[starts[token.start[0] - 1] + token.start[1] : starts[token.end[0] - 1] + token.end[1]] = kind
    return torch.tensor([min(ord(letter), 127) for letter in source]), kinds


def parts(names: list[str], row: int) -> list[TensorDataset]:
    """Rows to train on, to choose by and to test on: eight, one and one of ten."""
    library = Path(os.__file__).parent
    pairs = [labelled((library / name).read_text(encoding="utf-8")) for name in names]
    codes, kinds = (torch.cat([pair[at] for pair in pairs]) for at in (0, 1))
    whole = len(codes) // row * row
    rows = torch.randperm(whole // row, generator=torch.Generator().manual_seed(0))
    tenth = len(rows) // 10
    return [
        TensorDataset(codes[:whole].view(-1, row)[part], kinds[:whole].view(-1, row)[part])
        for part in rows.split([len(rows) - 2 * tenth, tenth, tenth])
    ]


def train(run: calando.Run, size: str = "tiny") -> None:
    names, row, width, layers, epochs = SIZES[size]
    fit, validation, test = parts(names, row)
    loader = DataLoader(fit, batch_size=32, shuffle=True)
    model = BertForTokenClassification(
        BertConfig(
            vocab_size=128,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=4,
            intermediate_size=2 * width,
            max_position_embeddings=row,
            num_labels=7,
        )
    )

    def right(part: TensorDataset) -> float:
        with training.evaluated(loader), torch.no_grad():
            hits = [(model(codes).logits.argmax(-1) == kinds).float() for codes, kinds in DataLoader(part, 200)]
        return 100 * torch.cat(hits).mean().item()

    epochs = run.epochs(epochs)
    training = run.follow(model, total_steps=len(epochs) * len(loader), steps_per_epoch=len(loader))
    run.keep(model=model, training=training)
    for epoch in epochs:
        for codes, kinds in loader:
            loss = model(codes, labels=kinds).loss
            loss.backward()
            training.optimizer.step()
            training.optimizer.zero_grad()
            run.observe(loss=loss)
        score = right(validation)
        print(f"epoch {epoch + 1}: {score:.1f} {UNIT}")
        run.report(score)
    run.finish(test=right(test))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=SIZES, default="tiny")
    train(calando.run("adamw-cosine", lr=0.001, goal=GOAL, unit=UNIT), parser.parse_args().size)
