"""What is kept of a state beside its values: types, shapes and digests."""

from collections.abc import Mapping, Sequence
import os
from typing import Any

import jax
import numpy as np

from sce_jax.engine.train_state import TrainState
from sce_jax.errors import UserError
from sce_jax.storage import digests

# By a leaf's path, such as 'params/fc1/kernel': its type, shape and digest.
Description = Mapping[str, Sequence[Any]]


def describe(state: TrainState) -> dict[str, list[Any]]:
  """The description of a state in memory, as JSON keeps it."""
  arrays = {name: np.asarray(leaf) for name, leaf in _leaves(state).items()}
  return {
    name: [str(array.dtype), list(array.shape), digests.of_arrays(array)]
    for name, array in arrays.items()
  }


def check_kinds(
  path: str | os.PathLike, saved: Description, like: TrainState
) -> None:
  """Checks that a state was saved with the types and shapes it now has.

  Args:
    path: the checkpoint, for the message.
    saved: its description.
    like: a state of the types and shapes that are wanted.

  Raises:
    UserError: it was not; orbax would cast it.
  """
  kinds = {name: (x[0], tuple(x[1])) for name, x in saved.items()}
  now = {
    name: (str(x.dtype), tuple(x.shape)) for name, x in _leaves(like).items()
  }
  for name in sorted(kinds.keys() | now.keys()):
    before, after = kinds.get(name), now.get(name)
    if before != after:
      raise UserError(
        f'{os.fspath(path)} does not fit this program: {name} was saved as'
        f' {_text(before)}, and is {_text(after)} here, and nothing is cast:'
        " use the run's own config, code and precision (JAX_ENABLE_X64), or"
        ' name another --workdir to train anew'
      )


def check_digests(saved: Description, state: TrainState) -> None:
  """Checks that a restored state is to the bit the one that was saved.

  Raises:
    ValueError: it is not.
  """
  found = describe(state)
  for name, description in saved.items():
    if found[name] != list(description):
      raise ValueError(f'{name} has another digest than when it was saved')


def _leaves(state: TrainState) -> dict[str, Any]:
  return {
    jax.tree_util.keystr(path, simple=True, separator='/'): leaf
    for path, leaf in jax.tree_util.tree_leaves_with_path(state)
  }


def _text(kind: tuple[str, tuple[int, ...]] | None) -> str:
  return 'missing' if kind is None else f'{kind[0]}{list(kind[1])}'
