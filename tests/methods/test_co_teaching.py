"""Co-teaching: which examples each network learns from, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax.data.batches import Batch
from sce_jax.methods import Context
from sce_jax.methods.base import rank
from sce_jax.methods.co_teaching import co_teaching
from tests import synthetic

# A logit for the label of two classes: the larger, the smaller the loss.
FIRST = np.array([3.0, 2.0, 1.0, 0.0, -1.0])
SECOND = np.array([-1.0, 0.0, 1.0, 2.0, 3.0])


def call(epoch, forget_rate=0.4, warm_up=2, mask=None, params=None):
  context = Context(
    key=jax.random.key(0),
    step=jnp.int32(0),
    epoch=jnp.int32(epoch),
    num_epochs=10,
    num_examples=5,
    training=True,
    psum=lambda x: x,
    gather=lambda x: x,
    shard=lambda x: x,
  )
  rows = jnp.arange(5, dtype=jnp.int32)
  labels = jnp.zeros(5, jnp.int32)
  batch = Batch(jnp.zeros((5, 1, 1, 1)), labels, None, rows, mask)
  params = jnp.asarray(np.stack([FIRST, SECOND])) if params is None else params

  def apply(params, images):
    del images
    return jnp.stack([params, jnp.zeros_like(params)], axis=-1), {}

  hparams = {
    'forget_rate': jnp.float32(forget_rate),
    'warm_up': jnp.float32(warm_up),
  }
  return co_teaching().loss(apply, params, batch, (), hparams, context)


def cross_entropy(logit):
  return np.log1p(np.exp(-np.asarray(logit, np.float64)))


def test_at_first_both_learn_from_all():
  losses, _ = call(epoch=0)
  np.testing.assert_allclose(
    losses, cross_entropy(FIRST) + cross_entropy(SECOND), rtol=1e-6
  )


@pytest.mark.parametrize(('epoch', 'kept'), [(1, 4), (2, 3), (9, 3)])
def test_each_learns_from_what_the_other_finds_easy(epoch, kept):
  # The share left out grows over two epochs from 0 to 0.4 of 5 examples.
  losses, _ = call(epoch)
  easy_for_first = np.arange(5) < kept
  easy_for_second = np.arange(5) >= 5 - kept
  expected = np.where(easy_for_second, cross_entropy(FIRST), 0)
  expected += np.where(easy_for_first, cross_entropy(SECOND), 0)
  # The mean over the batch is the mean over those kept.
  np.testing.assert_allclose(losses, expected * 5 / kept, rtol=1e-6)


def test_what_fills_up_the_batch_is_never_chosen():
  mask = jnp.array([True, True, True, True, False])
  losses, aux = call(epoch=2, forget_rate=0.5, mask=mask)
  # Two of four are kept: 0 and 1 are easy for the first, 3 and 2 for the
  # second, which finds the masked one easiest.
  expected = np.array([0, 0, 1, 1, 0]) * cross_entropy(FIRST)
  expected += np.array([1, 1, 0, 0, 0]) * cross_entropy(SECOND)
  np.testing.assert_allclose(losses, 2 * expected, rtol=1e-6)
  np.testing.assert_array_equal(aux.figures['same_choice'], [0, 0, 0, 0, 1])


def test_the_choice_carries_no_gradient():
  params = jnp.asarray(np.stack([FIRST, SECOND]))
  gradient = jax.grad(lambda p: call(epoch=2, params=p)[0].mean())(params)
  sigmoid = 1 / (1 + np.exp(-np.stack([FIRST, SECOND])))
  chosen = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 0, 0]])
  np.testing.assert_allclose(gradient, chosen * (sigmoid - 1) / 3, rtol=1e-5)


def test_ranks_of_equals_are_in_order():
  values = jnp.array([2.0, 1.0, jnp.inf, 1.0])
  np.testing.assert_array_equal(rank(values), [2, 0, 3, 1])


@pytest.mark.usefixtures('small_network')
def test_networks_that_choose_alike_are_trained_independently():
  # With nothing left out each network is one that is trained alone: clipping
  # by the global norm must not mix their gradients.
  config = synthetic.config('co_teaching,symmetric,0.4')
  config.model.name = 'digits_cnn'
  config.loss.forget_rate = 0.0
  config.optim.clip_norm = 0.5
  trainer, inputs, _ = synthetic.program([config])
  start = trainer.init(inputs)
  both = jax.device_get(start.params)
  pair, _ = synthetic.run_epochs(trainer, inputs)

  plain = synthetic.config('ce,symmetric,0.4')
  plain.model.name = 'digits_cnn'
  plain.optim.clip_norm = 0.5
  alone, alone_inputs, _ = synthetic.program([plain])
  for i in range(2):
    state = alone.init(alone_inputs)
    params = jax.tree.map(lambda x, i=i: jnp.asarray(x[i]), both)
    state = alone.device_put(state.replace(params=params))
    ended, _ = synthetic.run_epochs(alone, alone_inputs, 1, state)
    # The two are vmapped here: float32's rounding, grown over three steps.
    jax.tree.map(
      lambda a, b, i=i: np.testing.assert_allclose(
        a[i], b, rtol=2e-4, atol=2e-5
      ),
      jax.device_get(pair.params),
      jax.device_get(ended.params),
    )
