"""The network's outputs on examples: logits and the last hidden layer."""

import typing
from typing import Any

from flax import linen as nn
from flax import struct
import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from sce_jax.data import batches
from sce_jax.engine import randomness
from sce_jax.engine.network import Network
from sce_jax.engine.order import permutation
from sce_jax.engine.recipe import Recipe
from sce_jax.engine.train_state import RunInputs, TrainState


@struct.dataclass
@typing.no_type_check  # A pytree holds whatever jax maps it to.
class Outputs:
  """A network's outputs on N examples.

  Attributes:
    logits: float32.
    hidden: the last hidden layer's activations, float32.
  """

  logits: Float[Array, 'N K']
  hidden: Float[Array, 'N D']


def predict(
  state: TrainState,
  images: Shaped[Array, 'M ...'],
  pixel_mean: Float[Array, '...'],
  rows: Int[Array, ' N'],
  *,
  network: Network,
  normalization: batches.Normalization,
  batch_size: int,
) -> Outputs:
  """The outputs on some images, in one dispatch.

  Every device computes all of them: this serves analyses, not training.

  Args:
    state: the run.
    images: pixels or features as stored.
    pixel_mean: mean training image of pixels scaled to [0, 1].
    rows: which of the images.
    network: the network; the first of several.
    normalization: how pixels become input.
    batch_size: images at a time.
  """
  size = min(batch_size, len(rows))
  filled = jnp.resize(rows, (-(-len(rows) // size) * size,))

  def body(_, which):
    image = batches.normalize(images[which], pixel_mean, normalization)
    outputs = network.apply_first(state.params, state.batch_stats, image)
    return None, Outputs(*outputs)

  _, outputs = lax.scan(body, None, filled.reshape(-1, size))
  return Outputs(
    *(
      x.reshape(-1, x.shape[-1])[: len(rows)]
      for x in (outputs.logits, outputs.hidden)
    )
  )


def class_probabilities(
  variables: Any,
  images: Shaped[Array, 'N ...'],
  pixel_mean: Float[Array, '...'],
  *,
  module: nn.Module,
  normalization: batches.Normalization,
) -> Float[Array, 'N K']:
  """Probabilities of the classes: all that an exported network computes.

  Args:
    variables: of one network.
    images: pixels or features as stored.
    pixel_mean: mean training image of pixels scaled to [0, 1].
    module: the network.
    normalization: how pixels become input.
  """
  image = batches.normalize(images, pixel_mean, normalization)
  logits: Any = module.apply(variables, image)
  return jax.nn.softmax(logits)


def activations(
  state: TrainState,
  inputs: RunInputs,
  split: batches.DeviceSplit,
  num: int,
  *,
  recipe: Recipe,
) -> Float[Array, 'M D']:
  """The last hidden layer on random training examples, the same every time.

  Args:
    state: the run.
    inputs: its key and examples.
    split: the training split.
    num: how many examples.
    recipe: what the program is compiled from.
  """
  order = permutation(randomness.subset_key(inputs.key), inputs.labels.shape[0])
  rows = inputs.positions[order[:num]]
  assert split.image is not None  # See Method.uses_features.
  return predict(
    state,
    split.image,
    split.pixel_mean,
    rows,
    network=recipe.network,
    normalization=recipe.normalization,
    batch_size=recipe.eval_batch_size,
  ).hidden
