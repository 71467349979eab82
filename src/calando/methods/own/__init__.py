"""Optimizers of our own, where no kept package has them. Its modules import torch: only build functions import them."""
