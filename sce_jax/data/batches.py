"""A split on the device, and the batches that a compiled step takes from it."""

import dataclasses
import typing
from typing import Any

from flax import struct
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped
import numpy as np

from sce_jax.data import augment
from sce_jax.data.dataset import DataConfig, Split
from sce_jax.data.info import DatasetInfo

# A TPU keeps the last axis in multiples of this. Other sizes, such as MNIST's
# 784, would be copied if they were flat and are not as they are.
_LANES = 128
NORMALIZATIONS = ('unit', 'mean_std', 'pixel_mean')


@dataclasses.dataclass(frozen=True)
class Normalization:
  """How what is stored becomes the network's input; constants of a program.

  Attributes:
    kind: one of NORMALIZATIONS.
    pixel_max: the stored pixel value that becomes 1.
    mean: of each channel or feature, subtracted by 'mean_std'.
    std: of each channel or feature, divided by with 'mean_std'.
  """

  kind: str
  pixel_max: float
  mean: tuple[float, ...]
  std: tuple[float, ...]

  @classmethod
  def of(cls, data_config: DataConfig, info: DatasetInfo) -> 'Normalization':
    """The normalisation of a config on a data set."""
    return cls(data_config.normalization, info.pixel_max, info.mean, info.std)


@struct.dataclass
@typing.no_type_check  # A pytree holds whatever jax maps it to.
class DeviceSplit:
  """What lies on the device of a whole split.

  Attributes:
    image: pixels as stored, or feature vectors; None if they are streamed.
      Images lie flat, as [M, H * W * C], where a TPU would otherwise copy all
      of them in every dispatch to have each one's pixels side by side.
    clean_label: the true labels, -1 where one is not known; None if none is.
    pixel_mean: mean training image of pixels scaled to [0, 1].
    size: the number of examples.
  """

  image: Shaped[Array, 'M ...'] | None
  clean_label: Int[Array, ' M'] | None
  pixel_mean: Float[Array, '...']
  size: int = struct.field(pytree_node=False)


@struct.dataclass
@typing.no_type_check
class Fed:
  """Batches of pixels that are streamed to the device, one after the other.

  Attributes:
    place: which of the run's examples they are, as `take` is told.
    image: pixels as stored.
    second_image: of the same examples, cropped anew; None if nothing asks for
      it.
  """

  place: Int[Array, '*S N']
  image: Shaped[Array, '*S N H W C']
  second_image: Shaped[Array, '*S N H W C'] | None = None


@struct.dataclass
@typing.no_type_check
class Batch:
  """A batch, whole or a device's share of it.

  Attributes:
    image: float32, normalised.
    label: the label that the network is trained on.
    clean_label: the true label, which is only ever counted against; -1 where
      it is not known, None where none is.
    position: the row of the example in its split.
    mask: False for examples that only fill up the batch; None if it is full.
    second_image: as `image`, augmented anew; only for methods that ask for it.
  """

  image: Float[Array, 'N ...']
  label: Int[Array, ' N']
  clean_label: Int[Array, ' N'] | None
  position: Int[Array, ' N']
  mask: Bool[Array, ' N'] | None = None
  second_image: Float[Array, 'N H W C'] | None = None

  @property
  def counted(self) -> Bool[Array, ' N']:
    """The mask, also of a full batch."""
    if self.mask is None:
      return jnp.ones(self.label.shape, bool)
    return self.mask


def to_device_split(
  split: Split, pixel_mean: Float[np.ndarray, '...'], with_images: bool = True
) -> DeviceSplit:
  """Gathers what the device needs of a split, apart from its labels.

  Args:
    split: the split.
    pixel_mean: mean training image of pixels scaled to [0, 1].
    with_images: False if they are streamed.

  Returns:
    Arrays of the host, to be placed.
  """
  clean: Any = split.clean_label
  mean: Any = pixel_mean
  image: Any = split.pixels if with_images else None
  if with_images and pixel_mean.size % _LANES == 0:
    image = image.reshape(len(image), -1)
  return DeviceSplit(image, clean, mean, len(split))


def take(
  split: DeviceSplit,
  labels: Int[Array, ' P'],
  positions: Int[Array, ' P'],
  places: Int[Array, ' N'],
  mask: Bool[Array, ' N'] | None,
  normalization: Normalization,
  augmentation: tuple[augment.AugmentParams, augment.AugmentConfig]
  | None = None,
  pixels: Shaped[Array, 'N ...'] | None = None,
) -> Batch:
  """Makes a batch.

  Args:
    split: where to take it from.
    labels: the labels of the run's examples.
    positions: the run's examples, as rows of the split.
    places: which of the run's examples.
    mask: False for what only fills up the batch; None if it is full.
    normalization: how pixels become input.
    augmentation: what was sampled to augment the batch with; None for none.
    pixels: of these examples, where the split's are streamed; None: its own.
  """
  rows = positions[places]
  clean = split.clean_label
  if pixels is None:
    assert split.image is not None
    pixels = split.image[rows]
  return Batch(
    image=normalize(pixels, split.pixel_mean, normalization, augmentation),
    label=labels[places],
    clean_label=None if clean is None else clean[rows],
    position=rows,
    mask=mask,
  )


def normalize(
  pixels: Shaped[Array, 'N ...'],
  pixel_mean: Float[Array, '...'],
  normalization: Normalization,
  augmentation: Any = None,
) -> Float[Array, 'N ...']:
  """Scales, centres and augments stored pixels, or standardises features.

  Args:
    pixels: as stored, perhaps flat.
    pixel_mean: mean training image of pixels scaled to [0, 1].
    normalization: how pixels become input.
    augmentation: as in `take`.
  """
  image = pixels.reshape(pixels.shape[0], *pixel_mean.shape)
  image = image.astype(jnp.float32) / normalization.pixel_max
  # Keras subtracts the mean image, then augments; torch augments, then
  # normalises each channel. What a shift fills in differs.
  if normalization.kind == 'pixel_mean':
    image = image - pixel_mean
  if augmentation is not None:
    image = augment.apply(image, *augmentation)
  if normalization.kind == 'mean_std':
    mean, std = jnp.array(normalization.mean), jnp.array(normalization.std)
    image = (image - mean) / std
  return image
