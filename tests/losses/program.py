"""Every loss on every case.

Compiling is most of the time of such tests. So a loss is traced, with vmap and
its gradients, and what was traced is evaluated one operation after the other:
all losses and cases have the same shapes and share the compiled operations.
"""

from collections.abc import Mapping
import functools
from typing import Any, NamedTuple

import jax
from jax.extend import core
import jax.numpy as jnp
import numpy as np

from sce_jax.methods import table
from tests.losses import cases
from tests.losses.cases import CLASSES, LOGITS, ONE_HOT, TARGETS, K

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
  """What a case gave.

  Attributes:
    by_class: of LOGITS and CLASSES.
    by_target: of LOGITS and TARGETS; None in bfloat16.
    by_one_hot: of LOGITS and ONE_HOT; None in bfloat16.
    moved: of BASE and its MOVES, with BASE_CLASS.
    moved_target: the same with BASE_TARGET.
    of_no_class: losses of the classes -1 and K.
  """

  by_class: Result
  by_target: Result | None
  by_one_hot: Result | None
  moved: Result
  moved_target: Result | None
  of_no_class: np.ndarray


def evaluate(
  name: str, hyper: Mapping[str, Any], rows: Rows, dtype: Any
) -> Result:
  """Losses and their gradients.

  Args:
    name: of the loss in SPECS.
    hyper: its hyper-parameters, of which the static ones are read.
    rows: the examples.
    dtype: of the logits and the targets.
  """
  static = tuple(table.of_kind(name, hyper, 'static').items())
  with jax.enable_x64(dtype == jnp.float64):
    wide = jnp.float64 if dtype == jnp.float64 else jnp.float32
    arrays = Rows(
      *cases.arrays(dtype, rows.logits, rows.labels),
      {k: jnp.asarray(v, wide) for k, v in rows.hyper.items()},
    )
    flat, tree = jax.tree.flatten(arrays)
    shapes = tuple(jax.typeof(x) for x in flat)
    traced, out = _trace(name, static, tree, shapes)
    with jax.disable_jit():
      found = core.jaxpr_as_fun(traced)(*flat)
  return jax.tree.unflatten(out, [np.asarray(x) for x in found])


@functools.cache
def _trace(name, static, tree, shapes):
  def loss(z, label, hyper):
    return cases.bind(name, dict(static))(z, label, **hyper)

  def of_rows(logits, labels, hyper):
    classes = labels.ndim == 1
    gradients = jax.value_and_grad(loss, (0, 2) if classes else (0, 1, 2))
    value, found = jax.vmap(gradients)(logits, labels, hyper)
    return Result(value, found[0], None if classes else found[1], found[-1])

  arguments = jax.tree.unflatten(tree, shapes)
  traced, out = jax.make_jaxpr(of_rows, return_shape=True)(*arguments)
  return traced, jax.tree.structure(out)


def repeat(logits, labels, hyper) -> Rows:
  """Examples that share their hyper-parameters."""
  stacked = {
    key: np.stack([np.asarray(value, float)] * len(logits))
    for key, value in hyper.items()
  }
  return Rows(logits, labels, stacked)


def moves(hyper: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """By how much hyper-parameters are moved [13, ...], by name.

  Each in proportion to its size, the entries of a matrix unequally.
  """
  values = {k: np.asarray(v, float) for k, v in hyper.items()}
  return {
    k: np.multiply.outer(
      MOVES[:, 2, 0], v * np.linspace(1, 2, v.size).reshape(v.shape)
    )
    for k, v in values.items()
  }


def _moved(hyper, labels):
  start = repeat(BASE + MOVES[:, 0], labels, hyper)
  away = moves(hyper)
  return start._replace(hyper={k: v + away[k] for k, v in start.hyper.items()})


def _joined(*parts):
  return jax.tree.map(lambda *x: np.concatenate(x), *parts)


def _part(result, start, stop):
  return jax.tree.map(lambda x: x[start:stop], result)


@functools.cache
def _results(name, place, dtype):
  hyper = cases.CASES[place][1]
  given = cases.traced(name, hyper)
  n, m = len(LOGITS), len(MOVES)
  by_class = evaluate(
    name,
    hyper,
    _joined(
      repeat(LOGITS, CLASSES, given),
      _moved(given, np.full(m, BASE_CLASS)),
      repeat(LOGITS[:2], np.array([-1, K]), given),
    ),
    dtype,
  )
  by_target = None
  # Targets are made float32 just as logits are: once is enough.
  if dtype != jnp.bfloat16:
    by_target = evaluate(
      name,
      hyper,
      _joined(
        repeat(LOGITS, TARGETS, given),
        repeat(LOGITS, ONE_HOT, given),
        _moved(given, BASE_TARGET + MOVES[:, 1]),
      ),
      dtype,
    )
  return Results(
    _part(by_class, 0, n),
    _part(by_target, 0, n),
    _part(by_target, n, 2 * n),
    _part(by_class, n, n + m),
    _part(by_target, 2 * n, None),
    by_class.value[n + m :],
  )


# By what tells cases apart; an array has no hash.
_PLACES = {
  (name, str(hyper)): place for place, (name, hyper) in enumerate(cases.CASES)
}


def results(name: str, hyper: Mapping[str, Any], dtype: Any) -> Results:
  """What one of `cases.CASES` gave, computed once."""
  return _results(name, _PLACES[name, str(hyper)], dtype)
