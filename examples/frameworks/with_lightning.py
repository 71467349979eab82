"""Lightning: its callback reports, keeps and stops the run, and gives the module its optimizer.

calando compare examples/frameworks/with_lightning.py fixed cosine adamw-cosine
"""

import pytorch_lightning
import torch
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

import calando
from calando.loops import lightning

run = calando.run("cosine", lr=0.05, goal="min", unit="MSE")
course = lightning.callback(run, score="error")
data = TensorDataset(x := torch.randn(256, 4), x.sum(1, keepdim=True))


class Line(pytorch_lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def configure_optimizers(self):
        return course.configure_optimizers(self)

    def training_step(self, batch, index):
        return mse_loss(self.layer(batch[0]), batch[1])

    def validation_step(self, batch, index):
        self.log("error", mse_loss(self.layer(batch[0]), batch[1]))


trainer = pytorch_lightning.Trainer(max_epochs=len(run.epochs(4)), callbacks=[course], default_root_dir=run.folder)
trainer.fit(Line(), DataLoader(data, 16, shuffle=True), DataLoader(data, 256), ckpt_path=course.ckpt_path)
