"""The benchmark's table, its bad input, and that both sides are the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.benchmarks import versus_torch
from sce_jax import losses, models


def test_the_table_divides_by_the_best_float32_pytorch():
  names = list(versus_torch.VARIANTS)
  figures = {
    'processor': 'Some CPU',
    'cores': 2,
    'date': '2026-01-01',
    'rounds': 3,
    'steps': 4,
    'variants': {
      name: {
        'milliseconds': [100.0 * (i + 1), 50.0, 1000.0],
        'peak_mib': 10.0,
        'version': 'x 1',
      }
      for i, name in enumerate(names)
    },
  }
  rows = versus_torch.table(figures).splitlines()
  assert rows[0].startswith('Some CPU, 2 cores, 2026-01-01, x 1; 3 interleaved')
  # Medians are 100, 200, 300, 400, 500; the best float32 PyTorch has 100.
  assert [row.split('|')[4].strip() for row in rows[4:]] == [
    '1.00',
    '2.00',
    '3.00',
    '4.00',
    '5.00',
  ]
  assert rows[4].split('|')[3].strip() == '50'


def test_missing_pytorch_gets_one_line(tmp_path):
  python = tmp_path / 'python'
  python.write_text('#!/bin/sh\nexit 1\n')
  python.chmod(0o755)
  with pytest.raises(SystemExit, match='pip install torch'):
    versus_torch.main([f'--torch_python={python}'])
  with pytest.raises(SystemExit, match='no/such has no PyTorch'):
    versus_torch.main(['--torch_python=no/such'])


@pytest.mark.parametrize('flag', ['--rounds=0', '--steps=x', '--nope'])
def test_bad_flags_are_refused(flag, capsys):
  with pytest.raises(SystemExit):
    versus_torch.main([flag])
  assert 'error: ' in capsys.readouterr().err


def test_both_sides_compute_the_same():
  torch = pytest.importorskip('torch', reason='PyTorch is not installed')
  from experiments.benchmarks import torch_cifar  # noqa: PLC0415

  torch.manual_seed(0)
  network = torch_cifar.make_network(10)
  assert sum(p.numel() for p in network.parameters()) == 1_639_794
  model = models.build(
    {
      'name': 'cifar_cnn',
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
  images = rng.normal(size=(8, 32, 32, 3)).astype(np.float32)
  label = rng.integers(0, 10, 8)
  loss = torch_cifar.symmetric_cross_entropy(
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

  stats = model.init(jax.random.key(0), jnp.asarray(images))['batch_stats']
  params = to_flax(network, lambda p: p.detach())
  value, gradients = jax.jit(jax.value_and_grad(ours))(params)
  assert float(value) == pytest.approx(float(loss), rel=1e-5)
  expected = to_flax(network, lambda p: p.grad)
  for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
    reference = expected[path[0].key][path[1].key]
    # float32 on both sides, through eight layers with batch norm.
    scale = float(jnp.abs(reference).max()) + 1e-3
    np.testing.assert_allclose(gradient, reference, atol=1e-3 * scale, rtol=0)


def to_flax(network, read):
  """PyTorch's parameters (or gradients) under our names and shapes."""
  names = [f'conv{i}' for i in range(1, 7)]
  names = [n for name in names for n in (name, f'{name}_bn')]
  names += ['fc1', 'fc1_bn', 'head']
  layers = [m for m in network if list(m.parameters(recurse=False))]
  params = {}
  for name, layer in zip(names, layers, strict=True):
    weight = read(layer.weight).numpy()
    if weight.ndim == 4:
      weight = weight.transpose(2, 3, 1, 0)
    elif name == 'fc1':
      # PyTorch flattens (C, H, W), we (H, W, C).
      weight = weight.reshape(-1, 196, 4, 4).transpose(2, 3, 1, 0)
      weight = weight.reshape(-1, weight.shape[-1])
    elif weight.ndim == 2:
      weight = weight.T
    params[name] = {
      'scale' if name.endswith('bn') else 'kernel': jnp.asarray(weight),
      'bias': jnp.asarray(read(layer.bias).numpy()),
    }
  return params
