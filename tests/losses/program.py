"""Every loss on every case, in one program for each dtype.

Compiling is most of the time of these tests: one program that is hardly
optimised takes a small part of what one for each loss does.
"""

from collections.abc import Mapping
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sce_jax.methods import table
from tests.losses import cases
from tests.losses.cases import CLASSES, LOGITS, ONE_HOT, TARGETS, K

# What XLA is told: the programs are large and run once.
OPTIONS = {
  'xla_backend_optimization_level': 0,
  'xla_llvm_disable_expensive_passes': True,
}

# An example, and the same moved a little in all its numbers at once, forth and
# back in each direction. The target's entries are far from 0, where log q bends
# sharply; their sum need not stay 1.
STEP = 1e-5
BASE = LOGITS[0]
BASE_CLASS, BASE_TARGET = 1, np.array([0.1, 0.3, 0.25, 0.2, 0.15])
DIRECTIONS = np.random.default_rng(4).normal(size=(6, 3, K))
MOVES = STEP * np.concatenate([np.zeros((1, 3, K)), DIRECTIONS, -DIRECTIONS])


class Rows(NamedTuple):
  """Examples of one loss.

  Attributes:
    logits: [R, K].
    labels: classes [R] or targets [R, K].
    hyper: hyper-parameters of each example, by name: [R, ...].
  """

  logits: np.ndarray
  labels: np.ndarray
  hyper: Mapping[str, np.ndarray]


class Result(NamedTuple):
  """Losses [R], and their gradients in what they were computed from."""

  value: np.ndarray
  in_logits: np.ndarray
  in_labels: np.ndarray | None
  in_hyper: Mapping[str, np.ndarray]


class Results(NamedTuple):
  """What the examples of a case gave, by how their labels are said."""

  by_class: Result
  by_target: Result | None
  by_one_hot: Result | None


def evaluate(
  rows: Mapping[tuple[str, Any], list[Rows]], dtype: Any
) -> dict[tuple[str, Any], list[Result]]:
  """Losses and their gradients.

  Args:
    rows: by a name in SPECS and the hyper-parameters that are compiled in, as
      pairs; their labels are all classes or all targets.
    dtype: of the logits and the targets.
  """

  def program(inputs):
    return {key: _gradients(*key, *joined) for key, joined in inputs.items()}

  with jax.enable_x64(dtype == jnp.float64):
    inputs = {
      key: _cast(jax.tree.map(lambda *x: np.concatenate(x), *parts), dtype)
      for key, parts in rows.items()
    }
    compiled = jax.jit(program).lower(inputs).compile(OPTIONS)
    out = jax.tree.map(np.asarray, compiled(inputs))
  cuts = {
    key: np.cumsum([len(x.logits) for x in parts[:-1]])
    for key, parts in rows.items()
  }
  return {
    key: [
      jax.tree.map(lambda x, i=i, key=key: np.split(x, cuts[key])[i], result)
      for i in range(len(rows[key]))
    ]
    for key, result in out.items()
  }


def _cast(rows, dtype):
  wide = jnp.float64 if dtype == jnp.float64 else jnp.float32
  logits, labels = cases.arrays(dtype, rows.logits, rows.labels)
  hyper = {k: jnp.asarray(v, wide) for k, v in rows.hyper.items()}
  return Rows(logits, labels, hyper)


def _gradients(name, static, logits, labels, hyper):
  def loss(z, label, hyper):
    return cases.bind(name, dict(static))(z, label, **hyper)

  classes = labels.ndim == 1
  gradients = jax.value_and_grad(loss, (0, 2) if classes else (0, 1, 2))
  value, found = jax.vmap(gradients)(logits, labels, hyper)
  return Result(value, found[0], None if classes else found[1], found[-1])


def repeat(logits, labels, hyper) -> Rows:
  """Examples that share their hyper-parameters."""
  stacked = {
    key: np.stack([np.asarray(value, float)] * len(logits))
    for key, value in hyper.items()
  }
  return Rows(logits, labels, stacked)


def moves(name: str) -> dict[str, np.ndarray]:
  """By how much `moved` moves the hyper-parameters [13, ...], by name.

  Each in proportion to its size, the entries of a matrix unequally.
  """
  values = {k: np.asarray(v, float) for k, v in cases.traced(name).items()}
  return {
    k: np.multiply.outer(
      MOVES[:, 2, 0], v * np.linspace(1, 2, v.size).reshape(v.shape)
    )
    for k, v in values.items()
  }


def _moved(name, labels):
  logits = BASE + MOVES[:, 0]
  hyper = repeat(logits, labels, cases.traced(name)).hyper
  away = moves(name)
  return Rows(logits, labels, {k: v + away[k] for k, v in hyper.items()})


@functools.cache
def _everything(dtype):
  by_class: dict[Any, list[Rows]] = {}
  by_target: dict[Any, list[Rows]] = {}
  where = {}
  for name, hyper in cases.CASES:
    key = name, tuple(table.of_kind(name, hyper, 'static').items())
    given = cases.traced(name, hyper)
    place = len(by_class.setdefault(key, []))
    where[name, str(hyper)] = key, place
    by_class[key].append(repeat(LOGITS, CLASSES, given))
    both = np.concatenate([LOGITS, LOGITS])
    labels = np.concatenate([TARGETS, ONE_HOT])
    by_target.setdefault(key, []).append(repeat(both, labels, given))
  for name in cases.NAMES:
    key, _ = where[name, str(cases.plain(name))]
    by_class[key].append(_moved(name, np.full(len(MOVES), BASE_CLASS)))
    by_target[key].append(_moved(name, BASE_TARGET + MOVES[:, 1]))
    # No classes.
    strange = repeat(LOGITS[:2], np.array([-1, K]), cases.traced(name))
    by_class[key].append(strange)
  # Targets are made float32 just as logits are: once is enough.
  narrow = dtype == jnp.bfloat16
  return (
    where,
    evaluate(by_class, dtype),
    None if narrow else evaluate(by_target, dtype),
  )


def results(name: str, hyper: Mapping[str, Any], dtype: Any) -> Results:
  """What one of `cases.CASES` gave; in bfloat16 with classes alone."""
  where, by_class, by_target = _everything(dtype)
  key, place = where[name, str(hyper)]
  if by_target is None:
    return Results(by_class[key][place], None, None)
  both = by_target[key][place]
  halves = [
    jax.tree.map(lambda x, i=i: np.split(x, 2)[i], both) for i in range(2)
  ]
  return Results(by_class[key][place], *halves)


def moved(name: str) -> tuple[Result, Result]:
  """What BASE and its MOVES gave, with the class and with the target."""
  where, by_class, by_target = _everything(jnp.float64)
  key, _ = where[name, str(cases.plain(name))]
  return by_class[key][-2], by_target[key][-1]


def of_no_class(name: str) -> np.ndarray:
  """The losses of the classes -1 and K."""
  where, by_class, _ = _everything(jnp.float64)
  key, _ = where[name, str(cases.plain(name))]
  return by_class[key][-1].value
