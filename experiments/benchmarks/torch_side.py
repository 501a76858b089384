"""The same networks, loss and optimiser in plain PyTorch."""

from collections.abc import Callable
import math

import torch
from torch import nn

ALPHA, BETA, LOG_ZERO = 0.1, 1.0, math.log(1e-4)
CLASSES = 10
# The widths of each stage's convolutions and whether it ends with pooling, the
# hidden layer's width, batch norm, and the images' shape.
NETWORKS = {
  'digits_cnn': ((((16, 16), True), ((32,), False)), 128, False, (1, 8, 8)),
  'mnist_cnn': ((((32,), True), ((64,), True)), 128, True, (1, 28, 28)),
  'cifar_cnn': (
    (((64, 64), True), ((128, 128), True), ((196, 196), True)),
    256,
    True,
    (3, 32, 32),
  ),
}


def gpu() -> str:
  """The name of the GPU that PyTorch uses, '' if there is none."""
  return torch.cuda.get_device_name() if torch.cuda.is_available() else ''


def make_network(name: str) -> nn.Sequential:
  """One of the convolutional networks, for ten classes."""
  stages, hidden, batch_norm, (channels, size, _) = NETWORKS[name]
  layers: list[nn.Module] = []

  def norm_relu(norm: nn.Module) -> None:
    layers.extend([norm] if batch_norm else [])
    layers.append(nn.ReLU(inplace=True))

  for widths, pool in stages:
    for width in widths:
      layers.append(nn.Conv2d(channels, width, 3, padding=1))
      norm_relu(nn.BatchNorm2d(width))
      channels = width
    if pool:
      layers.append(nn.MaxPool2d(2))
      size //= 2
  layers += [nn.Flatten(), nn.Linear(channels * size * size, hidden)]
  norm_relu(nn.BatchNorm1d(hidden))
  return nn.Sequential(*layers, nn.Linear(hidden, CLASSES))


def symmetric_cross_entropy(
  logits: torch.Tensor, label: torch.Tensor
) -> torch.Tensor:
  """Mean SL over a batch, from the logits."""
  log_p = logits.float().log_softmax(-1)
  log_p_label = log_p.gather(1, label[:, None])[:, 0]
  reverse = -LOG_ZERO * (1 - log_p_label.exp())
  return (-ALPHA * log_p_label + BETA * reverse).mean()


def make_steps(
  network_name: str, variant: str, steps: int, batch: int, threads: int
) -> tuple[Callable[[], None], str]:
  """A function that takes some training steps, and PyTorch's version.

  Args:
    network_name: of the network.
    variant: 'nchw', 'channels_last', 'compiled' or 'autocast' (bfloat16); the
      last two are channels last, too.
    steps: how many steps a call.
    batch: examples a step.
    threads: how many threads a CPU computes with.
  """
  torch.manual_seed(0)
  torch.set_num_threads(threads)
  torch.backends.cudnn.benchmark = True  # As XLA, it tries what is fastest.
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  layout = torch.contiguous_format
  if variant != 'nchw':
    layout = torch.channels_last
  network = make_network(network_name).to(device).to(memory_format=layout)
  forward = torch.compile(network) if variant == 'compiled' else network
  shape = NETWORKS[network_name][3]
  images = torch.randn(steps, batch, *shape, device=device)
  images = [x.contiguous(memory_format=layout) for x in images]
  labels = torch.randint(CLASSES, (steps, batch), device=device)
  optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

  def run():
    for x, y in zip(images, labels, strict=True):
      optimizer.zero_grad(set_to_none=True)
      with torch.autocast(
        device, torch.bfloat16, enabled=variant == 'autocast'
      ):
        loss = symmetric_cross_entropy(forward(x), y)
      loss.backward()
      optimizer.step()
    loss.item()  # Waits for the device.

  return run, f'torch {torch.__version__}'
