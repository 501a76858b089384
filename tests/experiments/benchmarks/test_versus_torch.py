"""The comparison with PyTorch: its workers, and what both sides compute."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.benchmarks import versus_torch, whole_run
from sce_jax import losses, models
from sce_jax.errors import UserError

# Stands in for an interpreter with PyTorch, which tests cannot rely on: each
# round takes it no time.
PYTORCH = """#!{python}
import json, sys
if sys.argv[1] == '-c':
  sys.exit(print())
answer = {{'peak MiB': 9, 'version': '2.0'}}
if 'compiled' in sys.argv:
  answer = {{'failed': 'no compiler'}}
for _ in sys.stdin:
  print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def interpreter(tmp_path):
  """Makes a program that is run in place of Python with PyTorch."""

  def make(text: str) -> str:
    python = tmp_path / 'python'
    python.write_text(text)
    python.chmod(0o755)
    return f'--torch_python={python}'

  return make


def test_workers_are_compared(interpreter, measure, monkeypatch):
  monkeypatch.delitem(versus_torch.VARIANTS, 'ours bfloat16')
  rows, machine = measure(
    'versus_torch',
    '--networks=digits_cnn',
    '--steps=1',
    '--rounds=1',
    interpreter(PYTORCH.format(python=sys.executable)),
  )
  # torch.compile has failed.
  *theirs, ours = rows
  assert [row['variant'] for row in rows] == [
    'torch float32 NCHW (as shipped)',
    'torch float32 channels_last',
    'torch bfloat16 autocast',
    'ours float32',
  ]
  assert machine['torch'] == '2.0'
  assert theirs[0]['over PyTorch as shipped'] == 1
  assert min(row['over best float32 PyTorch'] for row in theirs[:2]) == 1
  # It has really trained, in a process with jax.
  assert ours['over PyTorch as shipped'] > 1
  assert ours['peak MiB'] > 9


@pytest.mark.parametrize(
  ('error', 'message'),
  [
    ("ModuleNotFoundError: No module named 'torch'", 'pip install torch'),
    ('OSError: libx.so', 'cannot run torch: OSError: libx.so'),
  ],
)
def test_an_interpreter_without_pytorch_is_refused(
  error, message, interpreter, refusal
):
  flag = interpreter(f'#!/bin/sh\necho "{error}" >&2\nexit 1\n')
  assert message in refusal('versus_torch', flag)


@pytest.mark.parametrize('name', list(versus_torch.NETWORKS))
def test_both_sides_compute_the_same(name):
  torch = pytest.importorskip('torch', reason='PyTorch is not installed')
  from experiments.benchmarks import torch_side  # noqa: PLC0415

  torch.manual_seed(0)
  network = torch_side.make_network(name)
  model = models.build(
    models.ModelConfig(
      name=name,
      batch_norm_momentum=0.9,
      batch_norm_epsilon=1e-5,
      use_bias=True,
      initializer='torch',
      dtype='float32',
      layout='chwn',
    ),
    10,
    platform='cpu',
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


# Prints two accuracies for Keras, and fails for PyTorch.
OTHERS = """#!{python}
import sys
assert sys.argv[3] == 'keras', sys.argv
print(0.9)
print(0.985, flush=True)
sys.stdin.read()
"""


def test_whole_runs_are_timed_until_they_are_there(
  interpreter, measure, monkeypatch, refusal
):
  def ours(run, data_dir, seed):
    # As launch.py leaves it: a line at a time.
    program = (
      'import json, os, sys, time; f = open(sys.argv[1], "w", 1)\n'
      'for x in (0.97, 0.98): print(json.dumps({"test": {"accuracy": x}}),'
      ' file=f)\n'
      'time.sleep(600)'
    )
    run.mkdir()
    return [sys.executable, '-c', program, f'{run}/metrics.jsonl']

  monkeypatch.setattr(whole_run, '_write_arrays', lambda file, data_dir: None)
  monkeypatch.setattr(whole_run, '_ours', ours)
  python = interpreter(OTHERS.format(python=sys.executable))
  rows, _ = measure('whole_run', '--rounds=1', python)
  assert {row['program']: row['epochs'] for row in rows} == {
    'launch.py': '2',
    'Keras': '2',
  }
  assert rows[1]['over the faster of the others'] == 1
  monkeypatch.setattr(whole_run, '_ours', lambda *_: [sys.executable, '-c', ''])
  assert 'no such' in refusal('whole_run', '--torch_python=no such')
  assert 'between 0 and 1' in refusal('whole_run', '--accuracy=98')
  with pytest.raises(UserError, match=r'launch\.py has failed'):
    whole_run.whole_run(rounds=1)
