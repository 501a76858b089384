"""Training examples that are not trained on, but tested or chosen by."""

import dataclasses

from jaxtyping import Int64
import numpy as np

from sce_jax.data import ids as ids_lib
from sce_jax.data.sources import summary
from sce_jax.data.sources.columns import Columns
from sce_jax.errors import UserError
from sce_jax.noise import hashing

# Words of the hash, so that nothing else draws the same numbers.
_PURPOSE = 1001
_VALIDATION = 1002


def validation_rows(
  example_ids: Int64[np.ndarray, ' N'], share: float
) -> Int64[np.ndarray, ' V']:
  """The rows of the examples to choose settings by, rising.

  They depend on the examples' ids alone, so that methods, noises and seeds are
  compared on the same ones.

  Args:
    example_ids: of all training examples.
    share: of them, in [0, 1).

  Raises:
    UserError: none would be left to train on, or to choose by.
  """
  if not share:
    return np.zeros(0, np.int64)
  count = int(share * len(example_ids) + 0.5)
  if not 0 < count < len(example_ids):
    raise UserError(
      f'config.data.validation={share:g} of {len(example_ids)} training'
      f' examples are {count}: leave some to train on and some to choose by'
    )
  return np.sort(order(example_ids)[:count])


def order(example_ids: Int64[np.ndarray, ' N']) -> Int64[np.ndarray, ' N']:
  """The rows in the order in which they are held out to choose by.

  It depends on the ids alone: whatever is held out for a choice begins with the
  same examples.
  """
  ranks = hashing.hash_words(_VALIDATION, example_ids)
  return np.argsort(ranks, kind='stable')


def split(
  columns: Columns, share: float, *, is_clean: bool
) -> tuple[Columns, bool]:
  """Holds a share of each class's training examples out, as the test split.

  Which ones depends on the examples' ids alone. A class keeps at least one.

  Args:
    columns: a data set without a test split.
    share: of the examples, in (0, 1).
    is_clean: whether the labels are the true ones.

  Returns:
    The data set, and whether the new split is noisy: its labels are the true
    ones only if `is_clean`, or if all their clean labels are given.

  Raises:
    UserError: ids stand twice, or no class has enough examples.
  """
  train = columns.train
  try:
    numbers = ids_lib.to_numbers(train.ids)
  except ValueError as error:
    raise UserError(str(error)) from None
  ranks = hashing.hash_words(_PURPOSE, numbers)
  held = np.zeros(len(train.label), bool)
  for k in range(columns.num_classes):
    own = np.flatnonzero(train.label == k)
    count = min(int(share * len(own) + 0.5), len(own) - 1)
    if count > 0:
      held[own[np.argsort(ranks[own], kind='stable')[:count]]] = True
  if not held.any():
    raise UserError(
      f'config.data.held_out={share:g} of {len(held)} training examples leaves'
      ' no class one to hold out: give a larger share'
    )
  test, rest = train.rows(np.flatnonzero(held)), np.flatnonzero(~held)
  clean = test.clean_label
  if clean is not None and (clean >= 0).all():
    test, is_clean = dataclasses.replace(test, label=clean), True
  kept = train.rows(rest)
  told = columns.summary
  if told:
    names = columns.class_names
    note = f'{len(test.label):,} training examples are held out for testing' + (
      '' if is_clean else ', with labels as noisy as theirs'
    )
    # Of one split: no copy was in another one, and classes had more examples.
    before = summary.warnings(names, [train])
    others = [x for x in told['warnings'] if x not in before]
    told = {
      **told,
      'warnings': [*others, *summary.warnings(names, [kept, test])],
      'classes': summary.by_class(names, (kept, test)),
      'notes': [*told['notes'], note],
    }
  return (
    dataclasses.replace(
      columns,
      train=kept,
      test=test,
      label_sets={k: v[rest] for k, v in columns.label_sets.items()},
      summary=told,
    ),
    not is_clean,
  )
