"""The layers and networks by their definitions: float64 NumPy, [N, H, W, C]."""

import numpy as np


def _pads(shape, size, strides):
  """'SAME' padding: what is odd of it goes after."""
  pads = [max((-(-n // strides) - 1) * strides + size - n, 0) for n in shape]
  return [(0, 0)] + [(p // 2, p - p // 2) for p in pads] + [(0, 0)]


def convolution(x, kernel, bias=0.0, strides=1, even_padding=False):
  """'SAME' convolution, or one padded alike on both sides, by windows."""
  x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
  size = kernel.shape[0]
  rows, columns = (-(-n // strides) for n in x.shape[1:3])
  pads = _pads(x.shape[1:3], size, strides)
  if even_padding:
    pads[1:3] = [(size // 2, size // 2)] * 2
  x = np.pad(x, pads)
  y = np.zeros((x.shape[0], rows, columns, kernel.shape[3]))
  for i in range(rows):
    for j in range(columns):
      window = x[:, strides * i : strides * i + size]
      window = window[:, :, strides * j : strides * j + size]
      y[:, i, j] = np.einsum('nhwc,hwcf->nf', window, kernel)
  return y + np.asarray(bias, np.float64)


def convolution_gradients(x, kernel, gradient, strides=1):
  """Gradients in input, kernel and bias, window by window."""
  x, kernel, gradient = (
    np.asarray(a, np.float64) for a in (x, kernel, gradient)
  )
  size = kernel.shape[0]
  pads = _pads(x.shape[1:3], size, strides)
  padded = np.pad(x, pads)
  d_x, d_kernel = np.zeros_like(padded), np.zeros_like(kernel)
  for i in range(gradient.shape[1]):
    for j in range(gradient.shape[2]):
      window = np.s_[
        :,
        strides * i : strides * i + size,
        strides * j : strides * j + size,
      ]
      d_x[window] += np.einsum('nf,hwcf->nhwc', gradient[:, i, j], kernel)
      d_kernel += np.einsum('nhwc,nf->hwcf', padded[window], gradient[:, i, j])
  (top, _), (left, _) = pads[1:3]
  d_x = d_x[:, top : top + x.shape[1], left : left + x.shape[2]]
  return d_x, d_kernel, gradient.sum((0, 1, 2))


def max_pool(x):
  """Maximum over 2x2 windows, window by window."""
  rows, columns = x.shape[1] // 2, x.shape[2] // 2
  y = np.zeros((x.shape[0], rows, columns, x.shape[3]))
  for i in range(rows):
    for j in range(columns):
      y[:, i, j] = x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max((1, 2))
  return y


def max_pool3(x):
  """Maximum over what lies within one of every second position."""
  rows, columns = (-(-n // 2) for n in x.shape[1:3])
  y = np.zeros((x.shape[0], rows, columns, x.shape[3]))
  for i in range(rows):
    for j in range(columns):
      near = x[:, max(2 * i - 1, 0) : 2 * i + 2]
      y[:, i, j] = near[:, :, max(2 * j - 1, 0) : 2 * j + 2].max((1, 2))
  return y


def relu(x):
  return np.maximum(x, 0)


class Network:
  """The layers of a network by name, evaluated with running statistics."""

  def __init__(self, variables, epsilon):
    self._params = variables['params']
    self._stats = variables['batch_stats']
    self._epsilon = epsilon

  def norm(self, name, x):
    params, stats = self._params[name], self._stats[name]
    x = (x - stats['mean']) / np.sqrt(stats['var'] + self._epsilon)
    return x * params['scale'] + params['bias']

  def conv(self, name, x, strides=1, even_padding=False):
    layer = self._params[name]
    return convolution(x, layer['kernel'], layer['bias'], strides, even_padding)

  def dense(self, name, x):
    return x @ self._params[name]['kernel'] + self._params[name]['bias']


def cnn(net: Network, x):
  """Two 3x3 convolutions, pooling, one more, pooling, a hidden layer."""
  for number in (1, 2, 3):
    x = relu(net.norm(f'conv{number}_bn', net.conv(f'conv{number}', x)))
    if number != 1:
      x = max_pool(x)
  x = x.reshape(len(x), -1)
  x = relu(net.norm('fc1_bn', net.dense('fc1', x)))
  return net.dense('head', x)


def post_activation(net: Network, x):
  """Two blocks, the second at half the resolution (He et al., 2015)."""
  x = relu(net.norm('stem_bn', net.conv('stem', x)))
  for name, strides in (('stage1_block1', 1), ('stage2_block1', 2)):
    y = relu(net.norm(f'{name}_bn1', net.conv(f'{name}_conv1', x, strides)))
    y = net.norm(f'{name}_bn2', net.conv(f'{name}_conv2', y))
    if strides == 2:
      x = net.conv(f'{name}_projection', x, strides)
      x = net.norm(f'{name}_projection_bn', x)
    x = relu(x + y)
  return net.dense('head', x.mean((1, 2)))


def pre_activation(net: Network, x):
  """Two blocks, the second at half the resolution (He et al., 2016)."""
  x = net.conv('stem', x)
  for name, strides in (('stage1_block1', 1), ('stage2_block1', 2)):
    y = relu(net.norm(f'{name}_bn1', x))
    if strides == 2:
      x = net.conv(f'{name}_projection', y, strides)
    y = relu(net.norm(f'{name}_bn2', net.conv(f'{name}_conv1', y, strides)))
    x = x + net.conv(f'{name}_conv2', y)
  return net.dense('head', relu(net.norm('final_bn', x)).mean((1, 2)))
