"""ResNets of bottleneck blocks in plain PyTorch, by the paper's description.

He et al., 2015, table 1 and figure 5, with the strides in the 3x3 convolutions
(v1.5). The modules' names are those that published state_dicts have.
"""

import collections

import torch
from torch import nn


class Block(nn.Module):
  """1x1, 3x3 and 1x1 to four times the width, added to a shortcut."""

  def __init__(self, inputs, width, stride):
    super().__init__()
    outputs = 4 * width
    self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
    self.bn1 = nn.BatchNorm2d(width)
    self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
    self.bn2 = nn.BatchNorm2d(width)
    self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
    self.bn3 = nn.BatchNorm2d(outputs)
    self.downsample = nn.Sequential()
    if stride != 1 or inputs != outputs:
      self.downsample.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
      self.downsample.append(nn.BatchNorm2d(outputs))

  def forward(self, x):
    y = torch.relu(self.bn1(self.conv1(x)))
    y = torch.relu(self.bn2(self.conv2(y)))
    return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


_OF_SCALE_1 = ('bn1.weight', 'bn2.weight', 'downsample.1.weight')


def resnet(blocks=(3, 4, 6, 3), widths=(64, 128, 256, 512), num_classes=1000):
  """A network with random parameters and statistics, in evaluation mode."""
  stem = widths[0]
  layers = collections.OrderedDict(
    conv1=nn.Conv2d(3, stem, 7, 2, 3, bias=False),
    bn1=nn.BatchNorm2d(stem),
    relu=nn.ReLU(),
    maxpool=nn.MaxPool2d(3, 2, 1),
  )
  inputs = stem
  for i, (count, width) in enumerate(zip(blocks, widths, strict=True)):
    stage = nn.Sequential()
    for j in range(count):
      stage.append(Block(inputs, width, 2 if i > 0 and j == 0 else 1))
      inputs = 4 * width
    layers[f'layer{i + 1}'] = stage
  layers |= {
    'pool': nn.AdaptiveAvgPool2d(1),
    'flatten': nn.Flatten(),
    'fc': nn.Linear(inputs, num_classes),
  }
  network = nn.Sequential(layers).eval()
  torch.manual_seed(0)
  for name, value in network.state_dict().items():
    if name.endswith('running_var'):
      value.uniform_(0.5, 2)
    elif value.ndim == 4:
      nn.init.kaiming_normal_(value, nonlinearity='relu')
    elif value.ndim == 1 and value.is_floating_point():
      # Scales around 1, so that the signal survives 50 layers.
      value.normal_(0, 0.2).add_(name.endswith(_OF_SCALE_1))
  return network
