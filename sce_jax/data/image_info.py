"""What the description of a data set says of its images."""

import numpy as np

from sce_jax.data import features, records
from sce_jax.data.data_config import DataConfig
from sce_jax.data.records import Records
from sce_jax.data.sources.columns import Inputs
from sce_jax.errors import UserError


def shape(image: Inputs | Records, data_config: DataConfig) -> tuple[int, ...]:
  """The shape of what a network is shown of an example."""
  if isinstance(image, Records):
    side = data_config.image_size or records.SIDE
    return side, side, 3
  return image.shape[1:]


def check_feed(image: Inputs | Records, data_config: DataConfig) -> None:
  """Checks that images can reach the device in the way that a config says.

  Raises:
    UserError: they cannot.
  """
  name, crop = data_config.name, data_config.augment.crop
  if not isinstance(image, Records):
    if crop != 'center':
      raise UserError(
        f'config.data.augment.crop={crop} is for files that are decoded as they'
        f' are read, but {name!r} lies in memory: use'
        ' config.data.augment.pad_crop'
      )
  elif data_config.feed != 'stream':
    raise UserError(
      f'the images of {name!r} are decoded as they are read: set'
      ' config.data.feed=stream'
    )
  elif data_config.normalization == 'pixel_mean':
    raise UserError(
      f'the mean image of {name!r} is not known, for its images are decoded as'
      ' they are read: set config.data.normalization=mean_std'
    )


def channel_statistics(
  image: Inputs | Records, shape: tuple[int, ...], data_config: DataConfig
) -> tuple[tuple[float, ...], tuple[float, ...]]:
  """Mean and standard deviation of each channel: the config's, or measured.

  Raises:
    UserError: the config has others than the images have channels, or none for
      images that cannot be measured.
  """
  given = data_config.mean, data_config.std
  channels = shape[-1]
  for name, values in zip(('mean', 'std'), given, strict=True):
    if values is not None and len(values) != channels:
      is_image = len(shape) > 1
      what = 'images' if is_image else 'feature vectors'
      unit = 'channel(s)' if is_image else 'number(s)'
      raise UserError(
        f'config.data.{name} has {len(values)} values, but the {what} of'
        f' {data_config.name!r} have {channels} {unit}'
      )
  mean, std = (None if v is None else tuple(map(float, v)) for v in given)
  if mean is not None and std is not None:
    return mean, std
  if isinstance(image, Records):
    raise UserError(
      f'the images of {data_config.name!r} are decoded as they are read, and so'
      ' not measured: set config.data.mean and config.data.std'
    )
  if image.ndim == 2:
    found = [tuple(x.tolist()) for x in features.statistics(image)]
    return mean or found[0], std or found[1]
  # From counts of the 256 pixel values: exact, and the images are not copied.
  scaled = np.arange(256) / data_config.pixel_max
  means, stds = [], []
  for channel in range(channels):
    counts = np.bincount(image[..., channel].ravel(), minlength=256)
    center = float(np.average(scaled, weights=counts))
    variance = np.average((scaled - center) ** 2, weights=counts)
    means.append(center)
    # Of equal pixels nothing is left to divide; the normalised ones are 0.
    stds.append(float(max(np.sqrt(variance), 1e-6)))
  return mean or tuple(means), std or tuple(stds)
