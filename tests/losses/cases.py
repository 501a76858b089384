"""What the table-driven tests run every loss on.

A loss that is new in the table of methods is included automatically: its
hyper-parameters get the values below where a name is known, and their defaults
otherwise.

program.py computes them all.
"""

import functools

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
  'threshold': 0.15,
  't1': 0.7,
  't2': 1.3,
  'temperature': 1.5,
  'margin': 0.4,
  'transition_matrix': MATRIX,
}
# Corners of the ranges and limits, next to the plain values above.
CORNERS = [
  ('rce', {'log_zero': -2.0}),
  ('sl', {'alpha': 0.0, 'beta': 1.0, 'log_zero': -4.0}),
  ('sl', {'alpha': 1.0, 'beta': 0.0, 'log_zero': -4.0}),
  ('sl', {'alpha': 6.0, 'beta': 0.1, 'log_zero': -9.2}),
  ('lsr', {'smoothing': -0.8}),
  ('lsr', {'smoothing': 0.0}),
  ('gce', {'q': 1e-9}),
  ('gce', {'q': 1e-3}),
  ('gce', {'q': 1.0}),
  ('bootstrap_soft', {'weight': 0.0}),
  ('bootstrap_soft', {'weight': 1.0}),
  ('bootstrap_hard', {'weight': 0.0}),
  ('bootstrap_hard', {'weight': 1.0}),
  ('forward', {'transition_matrix': ZEROS}),
  ('forward', {'transition_matrix': np.eye(K)}),
  ('forward', {'transition_matrix': np.full((K, K), 1 / K)}),
  ('backward', {'transition_matrix': np.eye(K)}),
  ('focal', {'gamma': 0.0}),
  ('focal', {'gamma': 2.0}),
  ('focal', {'gamma': 2.0, 'detach': True}),
  ('nfl', {'gamma': 0.0}),
  ('nfl', {'gamma': 2.0}),
  ('nfl', {'gamma': 0.5, 'detach': True}),
  ('ngce', {'q': 1e-9}),
  ('ngce', {'q': 1.0}),
  ('nnce', {'p_min': 1e-7}),
  ('nnfl', {'gamma': 0.0, 'p_min': 1e-5}),
  ('nnfl', {'gamma': 0.5, 'p_min': 1e-5, 'detach': True}),
  ('agce', {'a': 1e-30, 'q': 0.6}),
  ('agce', {'a': 1e-5, 'q': 0.5}),
  ('agce', {'a': 1.8, 'q': 3.0}),
  ('agce', {'a': 2.5, 'q': 1.0}),
  ('aul', {'a': 5.5, 'q': 3.0}),
  ('aul', {'a': 2.5, 'q': 1.0}),
  # In float32 0.1^40 is 0, and (a / (a - 1))^40 is infinite.
  ('aul', {'a': 1.1, 'q': 40.0}),
  ('amse', {'a': 30.0}),
  ('amse', {'a': 1.0}),
  ('sgce', {'q': 1e-9}),
  ('sgce', {'q': 1.0}),
  ('taylor', {'order': 1}),
  ('taylor', {'order': 2}),
  ('taylor', {'order': 20}),
  ('phuber', {'tau': 1.0}),
  ('phuber', {'tau': 1e30}),
  ('truncated_gce', {'q': 0.6, 'threshold': 1e-30}),
  ('bi_tempered', {'t1': 1.0, 't2': 1.0}),
  ('bi_tempered', {'t1': 0.0, 't2': 2.0}),
  ('bi_tempered', {'t1': 0.0, 't2': 1.0}),
  ('js', {'weight': 0.1}),
  ('js', {'weight': 0.9}),
  ('ldr_kl', {'temperature': 0.05, 'margin': 0.1}),
  ('ldr_kl', {'temperature': 1e4, 'margin': 0.1}),
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


def traced(name, values=None):
  """Those of `plain`, or of `values`, that are arrays in a program."""
  values = plain(name) if values is None else values
  return table.of_kind(name, values, 'traced', 'computed')


CASES = [(name, plain(name)) for name in NAMES] + CORNERS


def of(name):
  """The hyper-parameters of a loss's cases."""
  return [hyper for key, hyper in CASES if key == name]


def case_id(value):
  if isinstance(value, str):
    return value
  shown = {k: v for k, v in value.items() if np.ndim(v) == 0}
  return ','.join(f'{k}={v:g}' for k, v in shown.items()) or 'plain'


def bind(name, hyper_parameters):
  return functools.partial(SPECS[name].loss, **hyper_parameters)


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


EXTREMES = np.array(
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


def every_label(logits):
  """Each row of logits `[N, K]` with every class as its label."""
  size = logits.shape[1]
  return np.repeat(logits, size, axis=0), np.tile(np.arange(size), len(logits))


# Random logits, then extreme ones, each with every class as its label.
RANDOM = batch(seed=0, size=6)[0]
LOGITS, CLASSES = every_label(np.concatenate([RANDOM, EXTREMES]))
ONE_HOT = np.eye(K)[CLASSES]
IS_RANDOM = np.arange(len(LOGITS)) < RANDOM.size
# No entry is a p of its logits: there the error |p - q| has its kink.
TARGETS = np.where(
  IS_RANDOM[:, None],
  batch(seed=0, size=len(LOGITS))[2],
  0.72 * ONE_HOT + 0.28 * np.eye(K)[1],
)
