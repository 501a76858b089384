"""A split on the device, and the batches that a compiled step takes from it."""

from collections.abc import Mapping
import typing
from typing import Any

from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8
import numpy as np

from sce_jax.data import augment, datasets
from sce_jax.data.dataset import Split

NORMALIZATIONS = ('unit', 'mean_std', 'pixel_mean')


@struct.dataclass
@typing.no_type_check  # A pytree holds whatever jax maps it to.
class DeviceSplit:
  """A whole split, as it lies on the device.

  Attributes:
    image: pixels as stored.
    label: the given labels.
    clean_label: the true labels.
    index: the examples' ids.
    pixel_mean: mean training image of pixels scaled to [0, 1].
  """

  image: UInt8[Array, 'M H W C']
  label: Int[Array, ' M']
  clean_label: Int[Array, ' M']
  index: Int[Array, ' M']
  pixel_mean: Float[Array, 'H W C']


def to_device_split(split: Split, train: Split, dataset: str) -> DeviceSplit:
  """Gathers what the device needs of a split.

  Args:
    split: the split.
    train: the training split, whose mean image is subtracted.
    dataset: a key of DATASETS.
  """
  mean = train.image.mean(axis=0, dtype=np.float64)
  return DeviceSplit(
    image=jnp.asarray(split.image),
    label=jnp.asarray(split.label),
    clean_label=jnp.asarray(split.clean_label),
    index=jnp.asarray(split.index),
    pixel_mean=jnp.asarray(
      mean / datasets.DATASETS[dataset].pixel_max, jnp.float32
    ),
  )


def take(
  split: DeviceSplit,
  positions: Int[Array, ' N'],
  mask: Bool[Array, ' N'] | None,
  config: Mapping[str, Any],
  draws: augment.AugmentParams | None = None,
) -> dict[str, jax.Array]:
  """Makes a batch.

  Args:
    split: where to take it from.
    positions: places in the split.
    mask: False for what only fills up the batch; None if it is full.
    config: the `data` section of a config.
    draws: what was drawn to augment the batch with; None for no augmentation.

  Returns:
    The batch, see steps.py.
  """
  info = datasets.DATASETS[config['name']]
  image = split.image[positions].astype(jnp.float32) / info.pixel_max
  # Keras's way is to subtract the mean image, then to augment; torch's is to
  # augment, then to normalise each channel. What a shift fills in differs.
  if config['normalization'] == 'pixel_mean':
    image = image - split.pixel_mean
  if draws is not None:
    image = augment.apply(image, draws, config['augment'])
  if config['normalization'] == 'mean_std':
    image = (image - jnp.array(info.mean)) / jnp.array(info.std)
  batch = {
    'image': image,
    'label': split.label[positions],
    'clean_label': split.clean_label[positions],
    'index': split.index[positions],
  }
  return batch if mask is None else batch | {'mask': mask}
