"""How errors are told."""

import pytest

from sce_jax.errors import NonFiniteLoss


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
