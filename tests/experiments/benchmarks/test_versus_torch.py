"""The benchmark's table, its bad input, and that both sides are the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.benchmarks import versus_torch
from sce_jax import losses, models
from tests.experiments.refusals import refusal


def test_rows_divide_by_the_best_and_by_the_shipped_pytorch():
  names = list(versus_torch.VARIANTS)
  steps = versus_torch.NETWORKS['cifar_cnn'][1]
  # Medians of 200, 100, 300, ... ms a step.
  milliseconds = dict(zip(names, [200, 100, 300, 400, 50, 150], strict=True))
  seconds = {
    name: [1e-3 * steps * value, 9.0, 0.0]
    for name, value in milliseconds.items()
  }
  last = {name: {'peak_mib': 10.0} for name in names}
  rows = versus_torch._rows('cifar_cnn', seconds, last)
  assert [row['variant'] for row in rows] == names
  assert [row['ms a step'] for row in rows] == pytest.approx(
    list(milliseconds.values())
  )
  assert [row['over best float32 PyTorch'] for row in rows] == pytest.approx(
    [2, 1, 3, 4, 0.5, 1.5]
  )
  assert [row['over PyTorch as shipped'] for row in rows] == pytest.approx(
    [1, 0.5, 1.5, 2, 0.25, 0.75]
  )
  assert rows[4]['images/s'] == pytest.approx(128 / 0.05)


@pytest.mark.parametrize(
  ('body', 'message'),
  [
    (
      'echo "ModuleNotFoundError: No module named \'torch\'"',
      'pip install torch',
    ),
    (
      'echo Traceback; echo OSError: libx.so',
      'cannot run torch: OSError: libx',
    ),
  ],
)
def test_an_interpreter_without_pytorch_is_refused(
  body, message, tmp_path, capsys
):
  python = tmp_path / 'python'
  python.write_text(f'#!/bin/sh\n{{ {body}; }} >&2\nexit 1\n')
  python.chmod(0o755)
  assert message in refusal(
    capsys, versus_torch.main, f'--torch_python={python}'
  )


@pytest.mark.parametrize(
  ('flag', 'message'),
  [
    ('--rounds=0', "--rounds: '0' is not a whole number of at least 1"),
    ('--networks=x', "--networks: 'x' is not known: use some of digits_cnn"),
    ('--nope', 'unrecognized arguments: --nope'),
    ('--round=1', 'unrecognized arguments: --round=1'),
    ('more', 'unrecognized arguments: more'),
    ('--torch_python=no/such', 'no interpreter no/such'),
    ('--json=no/such/file', '--json=no/such/file cannot be written'),
    ('--json=/', '--json=/ cannot be written'),
  ],
)
def test_bad_flags_are_refused(flag, message, capsys):
  assert message in refusal(capsys, versus_torch.main, flag)


def test_workers_take_turns(monkeypatch):
  turns = []

  class Worker:
    def __init__(self, name):
      self.name = name

    def kill(self):
      turns.append(f'end {self.name}')

    def communicate(self):
      pass

  def start(python, kind, variant, network, on_gpu):
    del python
    assert network == 'cifar_cnn'
    assert not on_gpu  # Only one side has one.
    return Worker(f'{kind} {variant}')

  def ask(worker):
    turns.append(worker.name)
    if worker.name == 'torch compiled':
      return {'failed': 'no compiler'}
    return {'seconds': 0.5, 'peak_mib': 1.0, 'version': 'torch 9'}

  gpus = {'torch': 'Some GPU', 'jax': ''}
  monkeypatch.setattr(versus_torch, '_gpu', lambda python, kind: gpus[kind])
  monkeypatch.setattr(versus_torch, '_start', start)
  monkeypatch.setattr(versus_torch, '_ask', ask)
  machine, rows = versus_torch.measure('python', ['cifar_cnn'], rounds=3)
  names = [' '.join(variant) for variant in versus_torch.VARIANTS.values()]
  working = [name for name in names if name != 'torch compiled']
  # To warm up, three rounds, and what they have used by then; what does not
  # work here is left out.
  assert turns == names + working * 4 + [f'end {name}' for name in working]
  assert machine['device'] != 'Some GPU'
  assert machine['torch'] == '9'
  assert len(rows) == len(working)


@pytest.mark.parametrize('name', list(versus_torch.NETWORKS))
def test_both_sides_compute_the_same(name):
  torch = pytest.importorskip('torch', reason='PyTorch is not installed')
  from experiments.benchmarks import torch_side  # noqa: PLC0415

  torch.manual_seed(0)
  network = torch_side.make_network(name)
  model = models.build(
    {
      'name': name,
      'batch_norm_momentum': 0.9,
      'batch_norm_epsilon': 1e-5,
      'use_bias': True,
      'initializer': 'torch',
      'dtype': 'float32',
      'layout': 'chwn',
    },
    10,
  )
  rng = np.random.default_rng(0)
  channels, height, width = torch_side.NETWORKS[name][3]
  images = rng.normal(size=(8, height, width, channels)).astype(np.float32)
  label = rng.integers(0, 10, 8)
  loss = torch_side.symmetric_cross_entropy(
    network(torch.tensor(images.transpose(0, 3, 1, 2))), torch.tensor(label)
  )
  loss.backward()

  def ours(params):
    logits, _ = model.apply(
      {'params': params, 'batch_stats': stats},
      jnp.asarray(images),
      train=True,
      mutable=['batch_stats'],
    )
    return jax.vmap(
      lambda z, y: losses.symmetric_cross_entropy(
        z, y, alpha=0.1, beta=1.0, log_zero=losses.LOG_ZERO_PUBLIC_CODES
      )
    )(logits, jnp.asarray(label)).mean()

  variables = model.init(jax.random.key(0), jnp.asarray(images))
  stats = variables.get('batch_stats', {})
  params = to_flax(network, lambda p: p.detach())
  jax.tree.map(
    lambda a, b: np.testing.assert_equal(a.shape, b.shape),
    params,
    variables['params'],
  )
  value, gradients = jax.jit(jax.value_and_grad(ours))(params)
  assert float(value) == pytest.approx(loss.item(), rel=1e-5)
  expected = to_flax(network, lambda p: p.grad)
  for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
    layer = expected[path[0].key]
    # float32 on both sides, through eight layers with batch norm; a bias before
    # batch norm has gradient 0, so the layer's largest one is the measure.
    scale = max(float(jnp.abs(value).max()) for value in layer.values())
    np.testing.assert_allclose(
      gradient, layer[path[1].key], atol=1e-4 * scale, rtol=0
    )


def to_flax(network, read):
  """PyTorch's parameters (or gradients) under our names and shapes."""
  layers = [m for m in network if list(m.parameters(recurse=False))]
  params, convolutions, name = {}, 0, ''
  for layer in layers:
    weight = read(layer.weight).numpy()
    if weight.ndim == 4:
      convolutions += 1
      name = f'conv{convolutions}'
      channels = weight.shape[0]
      weight = weight.transpose(2, 3, 1, 0)
    elif weight.ndim == 1:
      name = f'{name}_bn'
    elif 'fc1' not in params:
      name = 'fc1'
      # PyTorch flattens (C, H, W), we (H, W, C).
      side = int((weight.shape[1] // channels) ** 0.5)
      weight = weight.reshape(-1, channels, side, side).transpose(2, 3, 1, 0)
      weight = weight.reshape(-1, weight.shape[-1])
    else:
      name = 'head'
      weight = weight.T
    params[name] = {
      'scale' if name.endswith('bn') else 'kernel': jnp.asarray(weight),
      'bias': jnp.asarray(read(layer.bias).numpy()),
    }
  return params
