"""Random shifts, crops, flips and rotations, inside the compiled step.

Parameters are sampled for the whole batch, then each device applies its share:
a batch looks the same on any number of devices.

A TPU takes a slice or a gather that differs between examples apart into a loop
over them, or into as many rows as there are pixels. There crops are selects
(the same bits), shifts and rotations products with matrices of weights
(`shift_by_products`, `rotate_by_products`; within 1e-5 of the gathers, for
pixels in [0, 1]).
"""

import dataclasses
import functools
import typing

from flax import struct
import jax
from jax import lax
import jax.numpy as jnp
from jax.scipy import ndimage
from jaxtyping import Array, Bool, Float, Int

FILLS = ('black', 'nearest')
# Of a larger image, in pixels, the intermediate products of a batch would take
# gigabytes.
_LARGEST_OF_PRODUCTS = 64
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
    crop = functools.partial(pad_crop, pad=config.pad_crop, fill=config.fill)
    images = lax.platform_dependent(
      images,
      params.crop,
      default=crop,
      tpu=functools.partial(crop, by_selects=True),
    )
  if config.rotate or config.shift:
    by_products = rotate_by_products if config.rotate else shift_by_products
    if max(images.shape[1:3]) > _LARGEST_OF_PRODUCTS:
      by_products = rotate_and_shift
    images = lax.platform_dependent(
      images,
      params.angle,
      params.shift,
      default=functools.partial(rotate_and_shift, fill=config.fill),
      tpu=functools.partial(by_products, fill=config.fill),
    )
  if config.flip:
    images = jnp.where(
      params.flip[:, None, None, None], images[:, :, ::-1], images
    )
  return images


def pad_crop(
  images: Images,
  corners: Int[Array, 'N 2'],
  *,
  pad: int,
  fill: str,
  by_selects: bool = False,
) -> Images:
  """Cuts images of the same size from padded ones.

  Args:
    images: a batch.
    corners: of each crop in its padded image, pixels from 0 to 2 * pad.
    pad: pixels on each side.
    fill: one of FILLS.
    by_selects: whether each possible corner is tried instead of slicing.
  """
  mode = 'constant' if fill == 'black' else 'edge'
  padded = jnp.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode)
  if by_selects:
    for axis in (1, 2):
      corner = corners[:, axis - 1, None, None, None]
      size, source = images.shape[axis], padded
      padded = lax.slice_in_dim(source, 0, size, axis=axis)
      for start in range(1, 2 * pad + 1):
        part = lax.slice_in_dim(source, start, start + size, axis=axis)
        padded = jnp.where(corner == start, part, padded)
    return padded

  def crop(image, corner):
    start = (corner[0], corner[1], jnp.zeros((), corner.dtype))
    return lax.dynamic_slice(image, start, images.shape[1:])

  return jax.vmap(crop)(padded, corners)


def rotate_and_shift(
  images: Images,
  angles: Float[Array, ' N'],
  shifts: Float[Array, 'N 2'],
  *,
  fill: str,
) -> Images:
  """Rotates about the centre and shifts, bilinear.

  Args:
    images: a batch.
    angles: counterclockwise, radians.
    shifts: down and to the right, pixels.
    fill: one of FILLS.
  """
  mode = 'constant' if fill == 'black' else 'nearest'

  def move(image, angle, shift):
    source = _source(image.shape, angle, shift)
    sample = jax.vmap(
      lambda channel: ndimage.map_coordinates(channel, source, 1, mode),
      in_axes=-1,
      out_axes=-1,
    )
    return sample(image)

  return jax.vmap(move)(images, angles, shifts)


def rotate_by_products(
  images: Images,
  angles: Float[Array, ' N'],
  shifts: Float[Array, 'N 2'],
  *,
  fill: str,
) -> Images:
  """As rotate_and_shift; H * W * (H + W * C) operations an image."""

  def move(image, angle, shift):
    height, width, channels = image.shape
    rows, columns = _source(image.shape, angle, shift)
    # For each pixel its row of the image, then its place in that row.
    lines = jnp.einsum(
      'pr,rwc->pcw',
      _weights(rows.reshape(-1), height, fill),
      image,
      precision=lax.Precision.HIGHEST,
    )
    weights = _weights(columns.reshape(-1), width, fill)
    moved = jnp.sum(lines * weights[:, None], axis=2)
    return moved.reshape(height, width, channels)

  return jax.vmap(move)(images, angles, shifts)


def shift_by_products(
  images: Images,
  angles: Float[Array, ' N'],
  shifts: Float[Array, 'N 2'],
  *,
  fill: str,
) -> Images:
  """As rotate_and_shift without rotation: rows and columns one by one."""
  del angles

  def move(image, shift):
    along = [
      _weights(jnp.arange(size, dtype=jnp.float32) - by, size, fill)
      for size, by in zip(image.shape, shift, strict=False)
    ]
    return jnp.einsum(
      'ir,rwc,jw->ijc',
      along[0],
      image,
      along[1],
      precision=lax.Precision.HIGHEST,
    )

  return jax.vmap(move)(images, shifts)


def _source(
  shape: tuple[int, ...], angle: Float[Array, ''], shift: Float[Array, '2']
) -> tuple[Float[Array, 'H W'], Float[Array, 'H W']]:
  """Row and column that each pixel of the result comes from."""
  height, width, _ = shape
  centre = jnp.array([(height - 1) / 2, (width - 1) / 2])
  rows, columns = jnp.meshgrid(
    jnp.arange(height, dtype=jnp.float32) - centre[0] - shift[0],
    jnp.arange(width, dtype=jnp.float32) - centre[1] - shift[1],
    indexing='ij',
  )
  sin, cos = jnp.sin(angle), jnp.cos(angle)
  return (
    cos * rows + sin * columns + centre[0],
    cos * columns - sin * rows + centre[1],
  )


def _weights(
  places: Float[Array, ' P'], size: int, fill: str
) -> Float[Array, 'P size']:
  """What each of `size` pixels in a line gives to each place between them."""
  if fill == 'nearest':
    places = jnp.clip(places, 0, size - 1)
  pixels = jnp.arange(size, dtype=jnp.float32)
  return jnp.maximum(0, 1 - jnp.abs(places[:, None] - pixels))
