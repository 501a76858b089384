"""What a network says of examples, in a file, for noise that is made of it.

An .npz with the arrays `example_id` [N] and `probability` or `averaged` [N, K],
and `label` and `clean_label` [N] where they are known: an audit writes it as
probabilities.npz. Other programs may, too.
"""

import io
import os
from typing import Any

from jaxtyping import Float, Int64, Integer, Shaped
import numpy as np

from sce_jax.data import ids as ids_lib
from sce_jax.errors import UserError, reason_of
from sce_jax.noise import checks, rows_of
from sce_jax.storage import paths

# The ids of the file's examples, and their probabilities.
Found = tuple[Int64[np.ndarray, ' N'], Float[np.ndarray, 'N K']]


def read(
  path: str | os.PathLike,
  array: str,
  ids: Integer[np.ndarray, ' M'],
  labels: Integer[np.ndarray, ' M'],
) -> Found:
  """Reads probabilities, and checks that they are of the true labels.

  Args:
    path: the file.
    array: what the probabilities are called in it.
    ids: of the examples that they are needed for.
    labels: their true labels.

  Raises:
    UserError: the file cannot be read, lacks an array, is of other data, or of
      networks that were trained on wrong labels; one line.
  """
  try:
    return _checked(read_arrays(path, array), array, ids, labels)
  except ValueError as error:
    raise UserError(f'{os.fspath(path)}: {error}') from None


def read_arrays(
  path: str | os.PathLike, *names: str
) -> dict[str, Shaped[np.ndarray, '...']]:
  """All arrays of a file of probabilities.

  Args:
    path: the file.
    names: of arrays that it must have, beside the ids.

  Raises:
    ValueError: it cannot be read, or lacks one; one line, without its name.
  """
  try:
    content = paths.read(paths.path(path))
  except OSError as error:
    raise ValueError(
      f'the file of probabilities cannot be read ({error.strerror or error}):'
      ' make one with launch.py audit on the true labels'
    ) from None
  try:
    file = np.load(io.BytesIO(content), allow_pickle=False)
    if not isinstance(file, np.lib.npyio.NpzFile):
      raise ValueError('it is a single array')
    with file:
      arrays = dict(file)
  except Exception as error:  # noqa: BLE001  Of a damaged one, of any type.
    reason = reason_of(error)
    raise ValueError(f'is no .npz file of probabilities ({reason})') from None
  missing = [x for x in ('example_id', *names) if x not in arrays]
  if missing:
    raise ValueError(
      f'lacks {" and ".join(missing)}: a file of probabilities has example_id'
      f' [N] and {names[0]} [N, K], as probabilities.npz of an audit'
    )
  return arrays


def _checked(arrays: dict[str, Any], array: str, ids, labels) -> Found:
  numbers = ids_lib.to_numbers(arrays['example_id'])
  probability = arrays[array]
  if probability.ndim != 2 or not np.issubdtype(probability.dtype, np.floating):
    raise ValueError(
      f'{array} is {probability.dtype} of shape {list(probability.shape)}: it'
      ' must be floating-point numbers of shape [N, K]'
    )
  if len(probability) != len(numbers):
    raise ValueError(
      f'{array} has {len(probability)} rows for {len(numbers)} ids'
    )
  given, true = arrays.get('label'), arrays.get('clean_label')
  for name, values in (('label', given), ('clean_label', true)):
    if values is not None:
      checks.check_integers(name, values, size=len(numbers))
  if given is not None and true is not None:
    wrong = np.mean((given != true)[true >= 0]) if (true >= 0).any() else 0
    if wrong:
      raise ValueError(
        f'is of networks that were trained on labels of which'
        f' {100 * wrong:.1f} % are'
        ' wrong: audit with the noise clean'
      )
  true = given if true is None else true
  if true is not None:
    rows = rows_of(numbers, ids)
    differ = np.flatnonzero((rows >= 0) & (true[rows] != labels))
    differ = differ[true[rows[differ]] >= 0]
    if differ.size:
      first = differ[0]
      raise ValueError(
        f'is of other data: the true label of example {ids[first]} is'
        f' {labels[first]}, and {true[rows[first]]} there'
      )
  return numbers, probability
