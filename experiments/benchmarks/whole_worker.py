"""A process of `whole_run`: trains on MNIST, prints each epoch's accuracy.

It imports only the side that it times.
"""
# ruff: noqa: PLC0415

from collections.abc import Iterator
import importlib.util
import os
import sys

import numpy as np

BATCH, MEAN, STD = 128, 0.1307, 0.3081


def with_torch(
  arrays: dict[str, np.ndarray], epochs: int, seed: int
) -> Iterator[float]:
  """Trains with PyTorch, as its tutorials do; gives the test accuracies."""
  import torch
  from torch import nn
  from torch.utils.data import DataLoader, TensorDataset

  from experiments.benchmarks.torch_side import make_network

  def examples(images, labels):
    images = torch.from_numpy(images).permute(0, 3, 1, 2)
    return TensorDataset(images.contiguous(), torch.from_numpy(labels))

  train = examples(arrays['image'], arrays['label'])
  test = examples(arrays['test_image'], arrays['test_label'])
  torch.manual_seed(seed)
  network = make_network('mnist_cnn')
  optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
  for _ in range(epochs):
    network.train()
    for images, labels in DataLoader(train, BATCH, shuffle=True):
      optimizer.zero_grad()
      nn.functional.cross_entropy(network(images), labels).backward()
      optimizer.step()
    network.eval()
    with torch.no_grad():
      right = [
        (network(images).argmax(1) == labels).sum().item()
        for images, labels in DataLoader(test, 500)
      ]
    yield sum(right) / len(test)


def with_keras(
  arrays: dict[str, np.ndarray], epochs: int, seed: int
) -> Iterator[float]:
  """Trains with Keras's fit; gives the test accuracies."""
  if importlib.util.find_spec('tensorflow') is None:
    os.environ.setdefault('KERAS_BACKEND', 'torch')
  import keras
  from keras import layers

  keras.utils.set_random_seed(seed)
  network = keras.Sequential([keras.Input((28, 28, 1))])
  for width in (32, 64):
    network.add(layers.Conv2D(width, 3, padding='same'))
    network.add(layers.BatchNormalization(momentum=0.9))
    network.add(layers.ReLU())
    network.add(layers.MaxPooling2D())
  for layer in (
    layers.Flatten(),
    layers.Dense(128),
    layers.BatchNormalization(momentum=0.9),
    layers.ReLU(),
    layers.Dense(10),
  ):
    network.add(layer)
  network.compile(
    keras.optimizers.SGD(0.1, momentum=0.9),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=['accuracy'],
  )
  for _ in range(epochs):
    network.fit(arrays['image'], arrays['label'], batch_size=BATCH, verbose=0)
    _, accuracy = network.evaluate(
      arrays['test_image'], arrays['test_label'], batch_size=500, verbose=0
    )
    yield float(accuracy)


def main(side: str, file: str, epochs: str, seed: str) -> None:
  """Trains with a side on the arrays of a file."""
  with np.load(file, allow_pickle=False) as saved:
    arrays = dict(saved)
  for name in ('image', 'test_image'):
    arrays[name] = (arrays[name] / np.float32(255) - MEAN) / STD
    arrays[name] = arrays[name].astype(np.float32)
  for name in ('label', 'test_label'):
    arrays[name] = arrays[name].astype(np.int64)
  run = {'torch': with_torch, 'keras': with_keras}[side]
  for accuracy in run(arrays, int(epochs), int(seed)):
    print(accuracy, flush=True)


if __name__ == '__main__':
  main(*sys.argv[1:])
