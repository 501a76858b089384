"""What `averaged` records, beside the method that it wraps."""

import jax
import jax.numpy as jnp
import numpy as np

from sce_jax import methods
from sce_jax.data.batches import Batch
from tests.methods import test_elr

K, EXAMPLES = test_elr.K, test_elr.EXAMPLES


def test_sums_by_hand_and_the_same_training():
  base = methods.build('elr', methods.complete('elr', {}))
  method = methods.averaged(base, margins=True)
  state = method.init(jax.random.key(0), EXAMPLES, K)
  shares = [[1.0, 2, 1, 4], [1, 1, 1, 1], [4, 2, 1, 1], [1, 2, 1, 4]]
  logits = jnp.log(jnp.array(shares))
  given = Batch(
    jnp.zeros((4, 1, 1, 1)),
    jnp.array([1, 0, 2, 3]),
    None,
    jnp.array([3, 8, 5, 6]),
    jnp.array([True, True, False, True]),
  )
  for _ in range(2):
    before = state
    losses, aux = call(method, logits, given, state)
    expected, inner = call(base, logits, given, state.base)
    np.testing.assert_array_equal(losses, expected)
    np.testing.assert_array_equal(aux.state.base, inner.state)
    np.testing.assert_array_equal(aux.logits, logits)
    state = aux.state
  # The third only fills up the batch.
  count, probability = np.zeros(EXAMPLES), np.zeros((EXAMPLES, K))
  margin = np.zeros(EXAMPLES)
  count[[3, 6, 8]] = 2
  probability[[3, 6]] = np.array([1, 2, 1, 4]) / 4
  probability[8] = 0.5
  # Twice log 2 - log 4, and of the label with a lead twice log 4 - log 2; the
  # labels of the second are equally likely.
  margin[3], margin[6] = -2 * np.log(2), 2 * np.log(2)
  np.testing.assert_array_equal(state.count, count)
  np.testing.assert_allclose(state.probability, probability, atol=1e-6)
  np.testing.assert_allclose(state.margin, margin, atol=1e-6)
  # Evaluations record nothing.
  _, aux = call(method, logits, given, before, training=False)
  np.testing.assert_array_equal(aux.state.count, before.count)


def call(method, logits, given, state, training=True):
  return method.loss(
    lambda params, images: (params, {}),
    logits,
    given,
    state,
    test_elr.HPARAMS,
    test_elr.context(training),
  )


def test_the_learned_matrix_is_that_of_the_method_below():
  method = methods.build('vol_min_net', methods.complete('vol_min_net', {}))
  state = method.init(jax.random.key(0), 6, 3)
  recorded = methods.averaged(method, margins=True)
  np.testing.assert_array_equal(
    recorded.transition(recorded.init(jax.random.key(0), 6, 3), {}),
    method.transition(state, {}),
  )
  without = methods.averaged(methods.build('ce', {}), margins=False)
  assert without.transition is None
