"""Rules of hyper-parameters: what is accepted, and what is said if not."""

import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.methods import hparams, table
from tests.losses import cases

ANY = hparams.number()
SHARE = hparams.number(lambda x: 0 <= x < 1, 'in [0, 1)')
COUNT = hparams.whole(1)
NAME = hparams.one_of('true', 'anchors')

REFUSED = [
  (ANY, float('nan'), 'is nan; give a number that is finite'),
  (ANY, -np.inf, 'is -inf; give a number that is finite'),
  (ANY, jnp.array(jnp.inf), 'give a number that is finite'),
  (ANY, True, 'is True; give a number that is finite'),
  (ANY, np.bool_(True), 'give a number that is finite'),
  (ANY, '1', "is '1'; give a number that is finite"),
  (ANY, 1j, 'is 1j; give a number that is finite'),
  (ANY, [1.0], 'is [1.0]; give a number that is finite'),
  (ANY, [1.0, [2.0]], 'is [1.0, [2.0]]; give a number that is finite'),
  (SHARE, 1, 'is 1; give a number in [0, 1)'),
  (SHARE, -1e-9, 'is -1e-09; give a number in [0, 1)'),
  (SHARE, np.nan, 'is nan; give a number that is finite and in [0, 1)'),
  # The program computes in float32: this is 1 there,
  (
    SHARE,
    0.99999999,
    'is 0.99999999, which is 1 in float32; give a number in [0, 1)',
  ),
  # this is 0, because XLA may take subnormal numbers for 0,
  (
    hparams.POSITIVE,
    1e-45,
    'is 1e-45, which is 0 in float32; give a number above 0',
  ),
  (
    hparams.POSITIVE,
    1e-50,
    'is 1e-50, which is 0 in float32; give a number above 0',
  ),
  # and this is infinite.
  (
    hparams.NOT_NEGATIVE,
    1e39,
    'is 1e+39, which is inf in float32; give a number that is finite and of at'
    ' least 0',
  ),
  (
    ANY,
    -1e39,
    'is -1e+39, which is -inf in float32; give a number that is finite',
  ),
  # A float64 number beyond a limit is not rounded back into the range.
  (hparams.WEIGHT, 1 + 1e-9, 'is 1.000000001; give a number from 0 to 1'),
  (COUNT, 0, 'is 0; give a whole number of at least 1'),
  (COUNT, np.int64(-3), 'give a whole number of at least 1'),
  (COUNT, 2.5, 'is 2.5; give a whole number of at least 1'),
  (COUNT, 2.0, 'is 2.0; give a whole number of at least 1'),
  (COUNT, '3', "is '3'; give a whole number of at least 1"),
  (COUNT, True, 'is True; give a whole number of at least 1'),
  (COUNT, [2], 'is [2]; give a whole number of at least 1'),
  (NAME, 'False', "is 'False'; give one of true, anchors"),
  (NAME, True, 'is True; give one of true, anchors'),
  (NAME, ['true'], "is ['true']; give one of true, anchors"),
]


@pytest.mark.parametrize('rule, value, complaint', REFUSED)
def test_what_a_rule_refuses_and_says(rule, value, complaint):
  said = rule(value)
  # How NumPy shows its numbers is its own matter.
  assert said == complaint or (
    isinstance(value, np.generic | jnp.ndarray)
    and said.startswith('is ')
    and said.endswith(complaint)
  )
  assert '\n' not in said


@pytest.mark.parametrize(
  'rule, value',
  [
    (ANY, -6),
    (ANY, np.float32(1)),
    (ANY, jnp.array(2)),
    (ANY, jnp.bfloat16(0.5)),
    (SHARE, 0),
    (SHARE, np.array(0.999)),
    # The largest below 1 and the least above 0 that float32 has.
    (SHARE, 1 - 2.0**-24),
    (hparams.POSITIVE, 2.0**-126),
    (hparams.NOT_NEGATIVE, 1e-45),
    (COUNT, 1),
    (COUNT, np.int64(5)),
    (NAME, 'anchors'),
  ],
)
def test_what_a_rule_accepts(rule, value):
  assert rule(value) is None


@pytest.mark.parametrize('rule', [ANY, COUNT, NAME])
def test_a_long_wrong_value_still_makes_one_line(rule):
  said = rule([[0.123456789] * 40] * 40)
  assert '\n' not in said
  assert len(said) < 110


@pytest.mark.parametrize(
  'name, key, value, seen',
  [
    ('js', 'weight', 0.99999999, 1),
    ('nnce', 'p_min', 1e-45, 0),
    ('elr', 'decay', 0.99999999, 1),
    ('aul', 'a', 1 + 1e-9, 1),
    ('dal', 'q_end', 1 + 1e-9, 1),
    ('nls', 'smoothing', -1e-46, 0),
  ],
)
def test_what_is_out_of_range_only_in_float32_is_refused(
  name, key, value, seen
):
  said = table.SPECS[name].hparams[key].rule(value)
  assert f', which is {seen} in float32; give a number' in said


SQUARE = 'the K x K matrix T[i, j] = P(noisy j | clean i)'
SINGULAR = np.full((3, 3), 1 / 3)

BAD_MATRICES = [
  ('forward', 0.4, f'is of shape (); give {SQUARE}'),
  ('forward', [[1.0, 0.0]], f'is of shape (1, 2); give {SQUARE}'),
  ('forward', [[1.0]], f'is of shape (1, 1); give {SQUARE}'),
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
  # That no class turns into class 1 is the lesser trouble here.
  (
    'backward',
    [[1.0, 0.0], [1.0, 0.0]],
    "is not invertible; lower its noise rate, or use the loss 'forward'",
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
    table.check(name, {'transition_matrix': matrix})
  assert str(caught.value) == f'loss {name!r}: transition_matrix {message}'


@pytest.mark.parametrize(
  'name, matrix',
  [
    ('forward', SINGULAR),
    ('forward', [[1, 0], [0, 1]]),
    ('forward', SINGULAR.astype(np.float32)),
    ('backward', jnp.asarray(cases.MATRIX)),
  ],
)
def test_matrices_are_accepted_in_any_form(name, matrix):
  table.check(name, {'transition_matrix': matrix})
