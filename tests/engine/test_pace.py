"""How many steps a dispatch has: from the time they took, to the same bits."""

import jax
import numpy as np
import pytest

from sce_jax.engine import pace, plan
from tests import synthetic

# (steps, seconds a step) -> at most so many next.
CASES = [
  (1, 0.5, 3),
  (1, 60.0, 1),
  (100, 0.001, 800),  # Eight times as many, though 1,500 fit.
  (100, 0.075, 20),
  (8, 0.0, 64),
]


@pytest.mark.parametrize(('num_steps', 'seconds', 'expected'), CASES)
def test_a_dispatch_fits_into_its_seconds(num_steps, seconds, expected):
  assert pace.SECONDS == 1.5
  paced = pace.Pace()
  paced.seen(num_steps, num_steps * seconds)
  assert paced.most_steps == expected


def made(full, remainder, block):
  size = 10
  dispatches = (full, 1) if remainder else (full,)
  return plan.Plan(size, full, remainder, dispatches, block=block)


@pytest.mark.parametrize(
  ('block', 'most', 'step', 'end', 'block_there'),
  [
    (1, 5, 0, 5, 1),
    (1, 5, 10, 12, 1),  # No dispatch goes beyond the full batches.
    (1, 5, 12, 13, 1),
    (1, 5, 13, 18, 1),  # The next epoch.
    (4, 5, 0, 4, 4),
    (4, 9, 0, 8, 4),
    (4, 1, 4, 8, 4),
    (4, 9, 6, 8, 1),  # Up to where a block begins.
    (4, None, 4, 12, 4),
  ],
)
def test_where_a_dispatch_ends(block, most, step, end, block_there):
  p = made(12, 3, block)
  assert p.next_boundary(step, most) == end
  assert p.dispatch(step, most).num_steps == end - step
  assert p.dispatch(step, most).block == block_there


@pytest.mark.parametrize(
  ('dispatches', 'remainder', 'block'),
  [
    ((468,), 96, 13),
    ((390,), 80, 15),
    ((39,) * 10, 80, 13),
    ((20, 20, 8), 0, 4),
    ((22,), 0, 11),
    ((17,), 3, 1),
  ],
)
def test_blocks_divide_all_dispatches_of_full_batches(
  dispatches, remainder, block
):
  last = (1,) if remainder else ()
  made = plan.Plan(128, sum(dispatches), remainder, dispatches + last)
  assert made.in_blocks(16).block == block


@pytest.mark.parametrize('num_runs', [1, 2])
def test_the_same_to_the_bit_and_nothing_is_compiled_again(
  num_runs, small_network
):
  """Over two epochs of two full batches and a partial one."""
  configs = [synthetic.config() for _ in range(num_runs)]
  for seed, config in enumerate(configs):
    config.seed = seed
    config.model.name = 'digits_cnn'
  trainer, inputs, _ = synthetic.program(configs)
  states = []
  for most in (None, 1, 2):
    state, step = trainer.init(inputs), 0
    while step < 2 * trainer.plan.steps:
      state, _ = trainer.train(state, inputs, step, most)
      step = trainer.plan.next_boundary(step, most)
    states.append(jax.device_get(state))
  for other in states[1:]:
    jax.tree.map(np.testing.assert_array_equal, other, states[0])
  assert trainer._train.cache_info().currsize == 2
