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
    'threads': 1,
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
  assert rows[0] == (
    'Some CPU, 2 cores, 1 threads, 2026-01-01, x 1; 3 interleaved rounds of 4'
    ' steps'
  )
  # Medians are 100, 200, 300, 400, 500; the best float32 PyTorch has 100.
  assert [row.split('|')[4].strip() for row in rows[4:]] == [
    '1.00',
    '2.00',
    '3.00',
    '4.00',
    '5.00',
  ]
  assert rows[4].split('|')[3].strip() == '50'


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
  assert message in refusal(capsys, f'--torch_python={python}')


@pytest.mark.parametrize(
  ('flag', 'message'),
  [
    ('--rounds=0', "--rounds: '0' is not a whole number of at least 1"),
    ('--steps=x', "--steps: 'x' is not a whole number of at least 1"),
    ('--nope', 'unrecognized arguments: --nope'),
    ('--step=1', 'unrecognized arguments: --step=1'),
    ('more', 'unrecognized arguments: more'),
    ('--torch_python=no/such', 'no interpreter no/such'),
    ('--json=no/such/file', '--json=no/such/file cannot be written'),
    ('--json=/', '--json=/ cannot be written'),
  ],
)
def test_bad_flags_are_refused(flag, message, capsys):
  assert message in refusal(capsys, flag)


def refusal(capsys, *arguments):
  with pytest.raises(SystemExit) as exit_:
    versus_torch.main(list(arguments))
  assert exit_.value.code == versus_torch.BAD_INPUT
  out, err = capsys.readouterr()
  assert not out
  (line,) = err.splitlines()
  assert line.startswith('error: ')
  return line


def test_workers_take_turns(monkeypatch):
  turns = []

  class Worker:
    def __init__(self, name):
      self.name = name

    def kill(self):
      turns.append(f'end {self.name}')

    def communicate(self):
      pass

  def start(python, kind, variant, steps, on_gpu):
    del python, steps
    assert not on_gpu  # Only one side has one.
    return Worker(f'{kind} {variant}')

  def ask(worker):
    turns.append(worker.name)
    return {'seconds': 0.5, 'peak_mib': 1.0, 'version': 'x'}

  gpus = {'torch': 'Some GPU', 'jax': ''}
  monkeypatch.setattr(versus_torch, '_gpu', lambda python, kind: gpus[kind])
  monkeypatch.setattr(versus_torch, '_start', start)
  monkeypatch.setattr(versus_torch, '_ask', ask)
  figures = versus_torch.measure('python', rounds=3, steps=2)
  names = [' '.join(variant) for variant in versus_torch.VARIANTS.values()]
  # To warm up, three rounds, and what they have used by then.
  assert turns == names * 5 + [f'end {name}' for name in names]
  assert figures['processor'] != 'Some GPU'
  for row in figures['variants'].values():
    assert row['milliseconds'] == [250.0] * 3


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
