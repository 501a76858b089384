"""Random shifts, crops, flips and rotations, inside the compiled step.

Parameters are sampled for the whole batch, then each device applies its share:
a batch looks the same on any number of devices.
"""

import dataclasses
import typing

from flax import struct
import jax
from jax import lax
import jax.numpy as jnp
from jax.scipy import ndimage
from jaxtyping import Array, Bool, Float, Int

FILLS = ('black', 'nearest')
Images = Float[Array, 'N H W C']


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
  """The `data.augment` section of a config, see config/base.py."""

  pad_crop: int
  shift: float
  rotate: float
  flip: bool
  fill: str
  crop: str = 'center'  # Done on the host, see crops.py.

  @property
  def is_on(self) -> bool:
    """Whether anything is augmented on the device."""
    return bool(self.pad_crop or self.shift or self.rotate or self.flip)


@struct.dataclass
@typing.no_type_check  # A pytree holds whatever jax maps it to.
class AugmentParams:
  """The sampled augmentation of each example of a batch.

  Attributes:
    crop: corner of the crop in the padded image, pixels.
    shift: shift down and to the right, pixels.
    angle: rotation, counterclockwise, radians.
    flip: whether the image is mirrored left to right.
  """

  crop: Int[Array, 'N 2']
  shift: Float[Array, 'N 2']
  angle: Float[Array, ' N']
  flip: Bool[Array, ' N']


def sample_params(
  key: jax.Array,
  num: int,
  image_shape: tuple[int, ...],
  config: AugmentConfig,
) -> AugmentParams:
  """Samples the augmentation of a batch.

  Args:
    key: PRNG key of the batch.
    num: number of examples.
    image_shape: (H, W, C).
    config: the `data.augment` section of a config.
  """
  crop, shift, angle, flip = jax.random.split(key, 4)
  size = jnp.array(image_shape[:2], jnp.float32)
  reach = jnp.deg2rad(jnp.float32(config.rotate))
  return AugmentParams(
    crop=jax.random.randint(crop, (num, 2), 0, 2 * config.pad_crop + 1),
    shift=size
    * config.shift
    * jax.random.uniform(shift, (num, 2), minval=-1.0, maxval=1.0),
    angle=reach * jax.random.uniform(angle, (num,), minval=-1.0, maxval=1.0),
    flip=jax.random.bernoulli(flip, shape=(num,)),
  )


def apply(
  images: Images, params: AugmentParams, config: AugmentConfig
) -> Images:
  """Augments images: crop, rotate and shift, flip; what is off costs nothing.

  Args:
    images: a batch.
    params: what was sampled for it.
    config: the `data.augment` section of a config.
  """
  if config.pad_crop:
    images = _pad_crop(images, params.crop, config.pad_crop, config.fill)
  if config.rotate or config.shift:
    move = jax.vmap(_rotate_and_shift, in_axes=(0, 0, 0, None))
    images = move(images, params.angle, params.shift, config.fill)
  if config.flip:
    images = jnp.where(
      params.flip[:, None, None, None], images[:, :, ::-1], images
    )
  return images


def _pad_crop(
  images: Images, corners: Int[Array, 'N 2'], pad: int, fill: str
) -> Images:
  mode = 'constant' if fill == 'black' else 'edge'
  padded = jnp.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode)

  def crop(image, corner):
    start = (corner[0], corner[1], jnp.zeros((), corner.dtype))
    return lax.dynamic_slice(image, start, images.shape[1:])

  return jax.vmap(crop)(padded, corners)


def _rotate_and_shift(
  image: Float[Array, 'H W C'],
  angle: Float[Array, ''],
  shift: Float[Array, '2'],
  fill: str,
) -> Float[Array, 'H W C']:
  """Rotates about the centre and shifts, bilinear."""
  height, width, _ = image.shape
  centre = jnp.array([(height - 1) / 2, (width - 1) / 2])
  rows, columns = jnp.meshgrid(
    jnp.arange(height, dtype=jnp.float32) - centre[0] - shift[0],
    jnp.arange(width, dtype=jnp.float32) - centre[1] - shift[1],
    indexing='ij',
  )
  sin, cos = jnp.sin(angle), jnp.cos(angle)
  source = [
    cos * rows + sin * columns + centre[0],
    cos * columns - sin * rows + centre[1],
  ]
  mode = 'constant' if fill == 'black' else 'nearest'
  sample = jax.vmap(
    lambda channel: ndimage.map_coordinates(channel, source, 1, mode),
    in_axes=-1,
    out_axes=-1,
  )
  return sample(image)
