"""The same network, loss and optimiser in plain PyTorch."""

from collections.abc import Callable
import math

import torch
from torch import nn

ALPHA, BETA, LOG_ZERO = 0.1, 1.0, math.log(1e-4)


def gpu() -> str:
  """The name of the GPU that PyTorch uses, '' if there is none."""
  return torch.cuda.get_device_name() if torch.cuda.is_available() else ''


def make_network(num_classes: int) -> nn.Sequential:
  """The 8-layer CNN for 32x32 images in three channels."""
  layers: list[nn.Module] = []
  channels = 3
  for width in (64, 128, 196):
    for _ in range(2):
      layers += [
        nn.Conv2d(channels, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
      ]
      channels = width
    layers.append(nn.MaxPool2d(2))
  return nn.Sequential(
    *layers,
    nn.Flatten(),
    nn.Linear(196 * 4 * 4, 256),
    nn.BatchNorm1d(256),
    nn.ReLU(inplace=True),
    nn.Linear(256, num_classes),
  )


def symmetric_cross_entropy(
  logits: torch.Tensor, label: torch.Tensor
) -> torch.Tensor:
  """Mean SL over a batch, from the logits."""
  log_p = logits.float().log_softmax(-1)
  log_p_label = log_p.gather(1, label[:, None])[:, 0]
  reverse = -LOG_ZERO * (1 - log_p_label.exp())
  return (-ALPHA * log_p_label + BETA * reverse).mean()


def make_steps(
  variant: str, steps: int, batch: int, num_classes: int, threads: int
) -> tuple[Callable[[], None], str]:
  """A function that takes some training steps, and PyTorch's version.

  Args:
    variant: 'nchw', 'channels_last' or 'autocast' (channels last, bfloat16).
    steps: how many steps a call.
    batch: examples a step.
    num_classes: number of classes.
    threads: how many threads a CPU computes with.
  """
  torch.manual_seed(0)
  torch.set_num_threads(threads)
  torch.backends.cudnn.benchmark = True  # As XLA, it tries what is fastest.
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  layout = torch.contiguous_format
  if variant != 'nchw':
    layout = torch.channels_last
  network = make_network(num_classes).to(device).to(memory_format=layout)
  images = torch.randn(steps, batch, 3, 32, 32, device=device)
  images = [x.contiguous(memory_format=layout) for x in images]
  labels = torch.randint(num_classes, (steps, batch), device=device)
  optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

  def run():
    for x, y in zip(images, labels, strict=True):
      optimizer.zero_grad(set_to_none=True)
      with torch.autocast(
        device, torch.bfloat16, enabled=variant == 'autocast'
      ):
        loss = symmetric_cross_entropy(network(x), y)
      loss.backward()
      optimizer.step()
    loss.item()  # Waits for the device.

  return run, f'torch {torch.__version__}'
