"""Transformers' Trainer: its callback reports, keeps and stops the run; the optimizer is the handle's.

calando compare examples/frameworks/with_transformers.py fixed cosine adamw-cosine
"""

import torch
import transformers

import calando
from calando.loops import trainer

run = calando.run("cosine", lr=0.05, goal="min", unit="nats")
course = trainer.callback(run, score="eval_loss")
model = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=16, n_embd=8, n_layer=1, n_head=2))
texts = [{"input_ids": (row := (torch.arange(8) + start) % 16), "labels": row} for start in range(16)] * 4
arguments = transformers.TrainingArguments("out", max_steps=len(run.steps(32)), eval_strategy="epoch", seed=run.seed)
training = run.follow(model, total_steps=arguments.max_steps)
data = {"train_dataset": texts, "eval_dataset": texts}
used = training.optimizer, training.scheduler
made = transformers.Trainer(model, arguments, **data, optimizers=used, callbacks=[course])
made.train(resume_from_checkpoint=course.checkpoint)
