"""What the table-driven tests run every loss on.

A loss that is new in the table of methods is included automatically: its
hyper-parameters get the values below where a name is known, and their defaults
otherwise.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from sce_jax.methods import table

K = 5

# Not symmetric, so that T and its transpose differ, and far from singular: the
# entries of its inverse stay below 2.
MATRIX = 0.6 * np.eye(K) + 0.4 * np.roll(np.eye(K), 1, axis=1)
MATRIX = 0.9 * MATRIX + 0.1 * np.linspace(0.1, 0.3, K)
ZEROS = 0.7 * np.eye(K) + 0.3 * np.roll(np.eye(K), 2, axis=1)

VALUES = {
  'alpha': 0.7,
  'beta': 1.3,
  'log_zero': -5.0,
  'q': 0.6,
  'smoothing': 0.3,
  'weight': 0.65,
  'gamma': 0.5,
  'p_min': 1e-5,
  'a': 2.5,
  'tau': 3.0,
  'threshold': 0.2,
  't1': 0.7,
  't2': 1.3,
  'temperature': 1.5,
  'margin': 0.4,
  'transition_matrix': MATRIX,
}
# Corners of the ranges, next to the plain values above.
CORNERS = [
  ('sl', {'alpha': 0.0, 'beta': 1.0, 'log_zero': -4.0}),
  ('lsr', {'smoothing': -0.8}),
  ('gce', {'q': 1e-3}),
  ('gce', {'q': 1.0}),
  ('bootstrap_soft', {'weight': 0.0}),
  ('bootstrap_hard', {'weight': 0.0}),
  ('forward', {'transition_matrix': ZEROS}),
  ('focal', {'gamma': 0.0}),
  ('focal', {'gamma': 2.0}),
]


# The methods that are a loss of one example and nothing else.
SPECS = {k: spec for k, spec in table.SPECS.items() if spec.loss is not None}
NAMES = list(SPECS)


def plain(name):
  """The hyper-parameters of the loss itself, not those of its preparation."""
  return {
    key: VALUES.get(key, hparam.default)
    for key, hparam in SPECS[name].hparams.items()
    if hparam.kind != 'host'
  }


def traced(name):
  """Those of `plain` that are arrays while a program runs."""
  return table.of_kind(name, plain(name), 'traced', 'computed')


CASES = [(name, plain(name)) for name in NAMES] + CORNERS


def case_id(value):
  if isinstance(value, str):
    return value
  shown = {k: v for k, v in value.items() if np.ndim(v) == 0}
  return ','.join(f'{k}={v:g}' for k, v in shown.items()) or 'plain'


def bind(name, hyper_parameters):
  return functools.partial(SPECS[name].loss, **hyper_parameters)


def batched(name, hyper_parameters):
  """The loss over a batch, with its gradients in the logits."""
  one = jax.value_and_grad(bind(name, hyper_parameters))
  # Not compiled: jax then reuses the single operations from loss to loss.
  return jax.vmap(one)


def batch(seed, size=12, scale=3.0):
  """Random logits, classes, and targets of which some entries are 0."""
  rng = np.random.default_rng(seed)
  logits = rng.normal(size=(size, K)) * scale
  classes = rng.integers(K, size=size)
  targets = rng.dirichlet(np.ones(K), size=size)
  targets[::3, 1:3] = 0
  return logits, classes, targets / targets.sum(axis=1, keepdims=True)


def arrays(dtype, *values):
  """Floating values in the dtype, classes in int32."""
  return tuple(
    jnp.asarray(v, dtype if np.asarray(v).dtype.kind == 'f' else jnp.int32)
    for v in values
  )


def extremes():
  """Logits up to +-1e4, each with every class as its label."""
  rows = np.array(
    [
      [1e4, -1e4, -1e4, -1e4, -1e4],
      [-1e4, 1e4, 1e4, -1e4, -1e4],
      [1e4, 1e4, 1e4, 1e4, 1e4],
      [-1e4, -1e4, -1e4, -1e4, -1e4],
      [1e4, 0, -1e4, 1, -1],
      [0, 0, 0, 0, -1e4],
      [20, 0, -20, 3, 1],
      [90, 0, 1, 2, 3],
      [0, 0, 0, 0, 0],
    ]
  )
  return np.repeat(rows, K, axis=0), np.tile(np.arange(K), len(rows))
