"""Terms beside a loss, against their formulas in NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sce_jax import losses
from sce_jax.methods import loss_wrappers, regularizers
from sce_jax.methods.base import Method, from_loss, no_state
from sce_jax.methods.mixup import mixup
from sce_jax.parallel import runners
from tests import synthetic
from tests.methods import calls

CE = from_loss(losses.cross_entropy)
COUNTED = np.array([True] * 5 + [False])


def check(method, hparams, wanted, told=None):
  """Losses and gradient of a batch, whose last example only fills it up.

  Args:
    method: the method.
    hparams: its hyper-parameters.
    wanted: (images, labels, params) -> the losses of what is counted.
    told: the context.
  """
  images, labels, params = calls.arrays()
  given = calls.batch(images, labels, COUNTED)
  got, _, gradient = calls.evaluate(method, params, given, hparams, told)
  images, labels = images[:5], labels[:5]
  np.testing.assert_allclose(got[:5], wanted(images, labels, params), rtol=1e-5)
  np.testing.assert_allclose(
    gradient,
    calls.differences(lambda w: wanted(images, labels, w).mean(), params),
    rtol=1e-4,
    atol=1e-5,
  )


def test_l1_of_all_parameters():
  check(
    regularizers.l1_penalty(CE),
    {'l1': 0.2},
    lambda x, y, w: calls.nll(x, y, w) + 0.2 * np.abs(w).sum(),
  )


@pytest.mark.usefixtures('small_network')
def test_l1_is_clipped_with_the_rest_of_the_gradient():
  config = synthetic.config('anl_ce,symmetric,0.4')
  config.model.name = 'digits_cnn'
  config.loss.l1 = 100.0
  config.optim.update({'clip_norm': 0.5, 'momentum': 0.0, 'boundaries': ()})
  trainer, inputs, _ = synthetic.program([config])
  start = trainer.init(inputs)
  before = jax.device_get(start.params)
  end, _ = synthetic.run_epochs(trainer, inputs, 1, start)
  moved = jax.tree.map(
    lambda a, b: np.square(a - b).sum(), jax.device_get(end.params), before
  )
  # A step of each of three batches, of the learning rate times the norm.
  longest = 3 * config.optim.learning_rate * 0.5
  length = float(np.sqrt(sum(jax.tree.leaves(moved))))
  assert 0.5 * longest < length <= longest * (1 + 1e-5)


def missing_entropy(images, params):
  p = calls.softmax(images.reshape(len(images), -1) @ params).mean(0)
  return np.log(calls.K) + p @ np.log(p)


def test_entropy_of_the_mean_prediction():
  check(
    regularizers.entropy_of_mean(CE),
    {'entropy': 3.0},
    lambda x, y, w: calls.nll(x, y, w) + 3 * missing_entropy(x, w),
  )


def test_no_class_predicted_is_finite():
  value, gradient = jax.jit(
    jax.vmap(jax.value_and_grad(regularizers.missing_entropy)),
    compiler_options=calls.OPTIONS,
  )(jnp.array([[4.0, 0.0, 0.0], [2.0, 2.0, 2.0]]))
  # log 3 where one class has all, 0 where all have as much.
  np.testing.assert_allclose(value, [np.log(3), 0], atol=1e-5)
  assert np.isfinite(gradient).all()


def sparse(images, labels, params, strength):
  z = images.reshape(len(images), -1) @ params
  z = 2 * z / np.linalg.norm(z, axis=1, keepdims=True)
  p = calls.softmax(z)
  chosen = np.take_along_axis(p, labels[:, None], 1)[:, 0]
  return -np.log(chosen) + strength * (p**0.3).sum(1)


# 0.5 until epoch 2, then three times as much every second epoch.
@pytest.mark.parametrize(('epoch', 'strength'), [(1, 0.5), (5, 4.5)])
def test_sparse_regularization_grows(epoch, strength):
  hparams = {
    'temperature': 0.5,
    'power': 0.3,
    'strength': 0.5,
    'growth': 3.0,
    'growth_epochs': 2,
  }
  check(
    regularizers.sparse_regularization(losses.cross_entropy),
    hparams,
    lambda x, y, w: sparse(x, y, w, strength),
    calls.context(epoch=epoch),
  )


def test_a_hyper_parameter_moves_over_the_run():
  base = from_loss(
    loss_wrappers.weighted_sum(losses.cross_entropy, weights='a')
  )
  check(
    regularizers.annealed(base, 'a'),
    {'a': 2.0, 'a_end': 1.0},
    # After 3 of 10 epochs: 0.7 * 2 + 0.3 * 1.
    lambda x, y, w: 1.7 * calls.nll(x, y, w),
    calls.context(epoch=3),
  )


@pytest.mark.parametrize(('epoch', 'weight'), [(2, 0.0), (3, 2.0)])
def test_a_hyper_parameter_is_held_back(epoch, weight):
  base = from_loss(
    loss_wrappers.weighted_sum(
      losses.cross_entropy, losses.cross_entropy, weights=('a', 'b')
    )
  )
  check(
    regularizers.delayed(base, 'a'),
    {'a': 2.0, 'b': 1.0, 'warm_up': 3},
    # Epochs 0 to 2 are the first three.
    lambda x, y, w: (weight + 1) * calls.nll(x, y, w),
    calls.context(epoch=epoch),
  )


def test_evaluations_are_those_of_the_base():
  method = mixup(regularizers.entropy_of_mean(regularizers.l1_penalty(CE)))
  images, labels, params = calls.arrays()
  hparams = {'concentration': 1.0, 'entropy': 3.0, 'l1': 0.2}
  given, told = calls.batch(images, labels), calls.context(training=False)
  got, *_ = calls.evaluate(method, params, given, hparams, told)
  np.testing.assert_allclose(got, calls.nll(images, labels, params), rtol=1e-5)
  # Of SR the logits are still those that it has made longer.
  method = regularizers.sparse_regularization(
    losses.cross_entropy, normalize=False
  )
  hparams = {'temperature': 1.0, 'power': 0.1, 'strength': 4.0, 'growth': 2.0}
  hparams['growth_epochs'] = 1
  got, *_ = calls.evaluate(method, params, given, hparams, told)
  np.testing.assert_allclose(got, calls.nll(images, labels, params), rtol=1e-5)


def test_a_schedule_is_seen_by_the_step_at_the_end_of_an_epoch():
  def end_epoch(state, features, hparams, context):
    return state, {'seen': hparams['x']}

  base = Method(no_state, CE.loss, end_epoch)
  method = regularizers.scheduled(
    base, lambda hparams, context: {'x': hparams['x'] + context.epoch}
  )
  told = calls.context(epoch=4)
  assert method.end_epoch((), None, {'x': 1}, told)[1]['seen'] == 5
  assert regularizers.scheduled(CE, lambda h, c: h).end_epoch is None


@pytest.mark.parametrize(
  'name', ['pmap', pytest.param('jit', marks=pytest.mark.slow)]
)
def test_two_devices_share_a_batch(name, monkeypatch):
  """The mean prediction, the pairs, the penalty: all are the whole batch's."""
  # Which is what Beta(1, 1) is, and takes long to compile as.
  monkeypatch.setattr(
    jax.random, 'beta', lambda key, a, b: jax.random.uniform(key)
  )
  method = mixup(regularizers.entropy_of_mean(regularizers.l1_penalty(CE)))
  images, labels, params = calls.arrays()
  hparams = {'concentration': 1.0, 'entropy': 3.0, 'l1': 0.2}
  runner = runners.make_runner(name, jax.devices()[:2])

  def program(params, hparams, split):
    images, labels, counted = (runner.shard(x) for x in split)
    count = runner.psum(counted.sum(dtype=jnp.float32))

    def mean(params):
      values, _ = method.loss(
        calls.apply,
        params,
        calls.batch(images, labels, counted),
        (),
        hparams,
        calls.context(runner=runner),
      )
      return jnp.where(counted, values, 0).sum() / count

    return runner.psum(jax.grad(mean)(params))

  placed = runner.place(
    jax.tree.map(
      jnp.asarray, (images.astype(np.float32), labels.astype(np.int32), COUNTED)
    )
  )
  got = runner.compile(program)(
    runner.place(jnp.asarray(params, jnp.float32)),
    runner.place({k: jnp.float32(v) for k, v in hparams.items()}),
    placed,
  )
  *_, wanted = calls.evaluate(
    method, params, calls.batch(images, labels, COUNTED), hparams
  )
  np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
