"""Transition matrices of a config: what is accepted, what is said if not."""

import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax import losses
from tests.losses import cases

SQUARE = 'the K x K matrix T[i, j] = P(noisy j | clean i)'
SINGULAR = np.full((3, 3), 1 / 3)

BAD_MATRICES = [
  ('forward', 0.4, f'is of shape (); give {SQUARE}'),
  ('forward', [[1.0, 0.0]], f'is of shape (1, 2); give {SQUARE}'),
  (
    'forward',
    [[1.0], [0.0, 1.0]],
    f'is not an array of numbers; give {SQUARE}',
  ),
  ('forward', 'symmetric', f'is not an array of numbers; give {SQUARE}'),
  (
    'forward',
    [[1.5, -0.5], [0.0, 1.0]],
    'has T[0, 0] = 1.5; give probabilities, from 0 to 1',
  ),
  (
    'backward',
    [[1.0, 0.0], [float('nan'), 1.0]],
    'has T[1, 0] = nan; give probabilities, from 0 to 1',
  ),
  (
    'backward',
    [[0.8, 0.2], [0.5, 0.4]],
    'has row 1 summing to 0.9; make every row sum to 1',
  ),
  (
    'forward',
    [[1.0, 0.0], [1.0, 0.0]],
    'has only zeros in column 1; let some class turn into class 1',
  ),
  (
    'backward',
    SINGULAR,
    "is not invertible; lower its noise rate, or use the loss 'forward'",
  ),
]


@pytest.mark.parametrize('name, matrix, message', BAD_MATRICES)
def test_bad_transition_matrices(name, matrix, message):
  with pytest.raises(ValueError) as caught:
    losses.check_hyper_parameters(name, {'transition_matrix': matrix})
  assert str(caught.value) == f'loss {name!r}: transition_matrix {message}'


@pytest.mark.parametrize(
  'name, values',
  [
    ('forward', {'transition_matrix': SINGULAR}),
    ('forward', {'transition_matrix': [[1, 0], [0, 1]]}),
    ('forward', {'transition_matrix': SINGULAR.astype(np.float32)}),
    ('backward', {'transition_matrix': jnp.asarray(cases.MATRIX)}),
  ],
)
def test_matrices_are_accepted_in_any_form(name, values):
  losses.check_hyper_parameters(name, values)
