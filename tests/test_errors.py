"""How errors are told."""

import io

import numpy as np
import pytest

from sce_jax.errors import NonFiniteLoss, reason_of


@pytest.mark.parametrize(
  ('count', 'line'),
  [
    (1, 'run 0'),
    (3, 'run 0; run 1; run 2'),
    (4, 'run 0; run 1; run 2; and 1 more'),
    (25, 'run 0; run 1; run 2; and 22 more'),
  ],
)
def test_many_runs_that_diverge_are_a_readable_line(count, line):
  error = NonFiniteLoss.of_runs([f'run {k}' for k in range(count)])
  assert str(error) == line


def test_nobody_is_told_to_load_a_file_unsafely():
  """NumPy says so of text, and of objects in an .npy or .npz."""
  objects, archive = io.BytesIO(), io.BytesIO()
  np.save(objects, np.array([{}], object))
  np.savez(archive, ids=np.array([{}], object))
  for content, what in (
    (b'some text', 'something other than plain arrays: save those'),
    (objects.getvalue(), 'Python objects, which could run code: save plain'),
    (archive.getvalue(), 'Python objects, which could run code: save plain'),
  ):
    with pytest.raises(ValueError, match='allow_pickle') as caught:
      np.load(io.BytesIO(content), allow_pickle=False)['ids']
    assert reason_of(caught.value).startswith(f'it holds {what}')
