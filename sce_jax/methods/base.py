"""What a method is: how a network learns from noisy labels.

The idiom is that of optax.GradientTransformation: a NamedTuple of pure
functions of a single run, so that it can be vmapped over runs. Its state is
part of the TrainState, hence checkpointed, donated and resumed with it.
"""

from collections.abc import Callable, Mapping, Sequence
import functools
import typing
from typing import Any, NamedTuple

from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Float64, Int
import numpy as np

from sce_jax.noise.estimation import Evidence

Hparams = Mapping[str, Any]
PyTree = Any
# (params, images [N, H, W, C]) -> logits [N, K] and the updated batch
# statistics; both have a leading axis [M] if the method has M > 1 networks.
Apply = Callable[[PyTree, Array], tuple[Float[Array, '...'], PyTree]]
# num_examples -> the last hidden layer's activations [num_examples, D] on that
# many training examples, the same in every epoch.
Features = Callable[[int], Float[Array, 'M D']]


class Context(NamedTuple):
  """What a method is told beside the batch.

  Attributes:
    key: PRNG key of this step.
    step: number of steps done.
    epoch: number of epochs done.
    num_epochs: length of the run.
    num_examples: the size of the training split: positions are below it.
    training: False in evaluations, which only read the losses and logits.
    psum: sums over devices what each has summed over its share of the batch.
    gather: makes this device's share of a batch [n, ...] whole: [N, ...].
    shard: this device's share of what is whole.
  """

  key: Array
  step: Int[Array, '']
  epoch: Int[Array, '']
  num_epochs: int
  num_examples: int
  training: bool
  psum: Callable[[PyTree], PyTree]
  gather: Callable[[Array], Array]
  shard: Callable[[Array], Array]

  def places(
    self, batch: Any, where: Bool[Array, '...'] | bool = True
  ) -> Int[Array, ' N']:
    """Where a whole batch stands in arrays of the training examples [P, ...].

    Past their end for what only fills up the batch: write with mode='drop'.

    Args:
      batch: this device's share.
      where: which of it to write; the others are past the end, too.
    """
    counted = batch.counted & where
    return self.gather(jnp.where(counted, batch.position, self.num_examples))


@struct.dataclass
@typing.no_type_check  # A pytree holds whatever jax maps it to.
class Aux:
  """What the loss of a batch gives besides the losses.

  Attributes:
    logits: [N, K], by which accuracy is counted.
    batch_stats: the updated statistics, as `apply` gave them.
    state: the method's new state, whole on every device.
    figures: of each example, by name; their means go to metrics.jsonl.
  """

  logits: Float[Array, 'N K']
  batch_stats: PyTree
  state: PyTree
  figures: Mapping[str, Float[Array, ' N']] = struct.field(default_factory=dict)


class PrepareContext(NamedTuple):
  """What `prepare` is told of a run.

  Attributes:
    hparams: all hyper-parameters of the method.
    transition: the matrix that the labels were drawn from, else the one that
      counting true and noisy labels gives; None if the true ones are unknown.
  """

  hparams: Hparams
  transition: Float64[np.ndarray, 'K K'] | None


# (name, runs, share) trains another method on the labels of some of the runs,
# in one program, for a share of a run's epochs, rounded, at least one; gives
# what the network of each of them says of its training examples, None for one
# that diverged.
Fit = Callable[[str, Sequence[int], float], Sequence[Evidence | None]]


class Method(NamedTuple):
  """How a network learns from noisy labels.

  Attributes:
    init: (key, num_examples, num_classes) -> state.
    loss: (apply, params, batch, state, hparams, context) -> (losses [N], Aux).
      The gradient is that of the mean of the losses over the whole batch.
    end_epoch: (state, features, hparams, context) -> (state, figures); called
      inside the compiled program after the last step of an epoch. The figures
      are scalars by name.
    prepare: (fit, contexts) -> for each run the hyper-parameters that are
      computed; called on the host, once, before the first step.
    num_networks: how many networks there are: parameters, statistics and the
      optimiser's state get a leading axis [M] if M > 1.
    figures: names of the figures that `loss` gives in training.
    two_views: whether the batches of training have a `second_image`, another
      random augmentation of the same examples.
    uses_features: whether `end_epoch` calls `features`, and so needs training
      examples on the device.
    transition: (state, hparams) -> T [K, K], of a method that learns it.
  """

  init: Callable[[Array, int, int], PyTree]
  loss: Callable[
    [Apply, PyTree, Any, PyTree, Hparams, Context],
    tuple[Float[Array, ' N'], Aux],
  ]
  end_epoch: (
    Callable[
      [PyTree, Features, Hparams, Context], tuple[PyTree, Mapping[str, Array]]
    ]
    | None
  ) = None
  prepare: (
    Callable[[Fit, Sequence[PrepareContext]], Sequence[Hparams | None]] | None
  ) = None
  num_networks: int = 1
  figures: tuple[str, ...] = ()
  two_views: bool = False
  uses_features: bool = False
  transition: Callable[[PyTree, Hparams], Float[Array, 'K K']] | None = None


def no_state(key: Array, num_examples: int, num_classes: int) -> tuple[()]:
  """The `init` of a method without state."""
  del key, num_examples, num_classes
  return ()


def from_loss(loss: Callable[..., Float[Array, '']]) -> Method:
  """Lifts a loss of one example to a method without state.

  Args:
    loss: (logits[K], label[], **hparams) -> [].
  """

  def batch_loss(apply, params, batch, state, hparams, context):
    del context
    logits, batch_stats = apply(params, batch.image)
    losses = jax.vmap(functools.partial(loss, **hparams))(logits, batch.label)
    return losses, Aux(logits, batch_stats, state)

  return Method(no_state, batch_loss)


def rank(values: Float[Array, ' N']) -> Int[Array, ' N']:
  """The rank of each value from the smallest, 0, on; of equals, the first."""
  order = jnp.argsort(values, stable=True)
  places = jnp.arange(values.size, dtype=jnp.int32)
  return jnp.zeros_like(places).at[order].set(places)


def random_order(key: Array, counted: Bool[Array, ' N']) -> Int[Array, ' N']:
  """A random order of the examples that are counted, which stand first."""
  # A batch is filled up at its end, with copies that are nobody's partner.
  place = jax.random.uniform(key, counted.shape)
  return jnp.argsort(jnp.where(counted, place, 2.0))


def epochs_since(
  share: float | Float[Array, ''], context: Context
) -> Float[Array, '']:
  """How many epochs were done since a share of the run was; below 0 before.

  Args:
    share: from 0 to 1; the epoch that it stands for is rounded.
    context: of the step.
  """
  start = jnp.round(jnp.asarray(share, jnp.float32) * context.num_epochs)
  return context.epoch.astype(jnp.float32) - start
