"""What a run's folder says of its data set: dataset.json. Needs no jax."""

from collections.abc import Mapping
import dataclasses
import os
from typing import Any

from jaxtyping import Float32
import numpy as np

from sce_jax.data import info as info_lib
from sce_jax.data.info import DatasetInfo
from sce_jax.errors import UserError
from sce_jax.runs import records

# The entry of dataset.json that those of earlier versions lack.
OTHERS = 'other_digests'


def describe(
  info: DatasetInfo,
  pixel_mean: Float32[np.ndarray, '...'] | None,
  digest: int,
  others: Mapping[str, int],
) -> dict[str, Any]:
  """The content of dataset.json.

  Args:
    info: the data set's description.
    pixel_mean: its mean training image, where the network's input needs it.
    digest: a checksum of the training images.
    others: checksums of the labels and the other splits, by what they are of.
  """
  values = dataclasses.asdict(info)
  if not info.noisy_test:  # As earlier versions wrote it.
    del values['noisy_test']
  return {
    'info': values,
    'digest': digest,
    OTHERS: dict(others),
    # float32 values are exact as JSON numbers.
    'pixel_mean': None if pixel_mean is None else pixel_mean.tolist(),
  }


def read(
  path: str | os.PathLike,
) -> tuple[DatasetInfo, Float32[np.ndarray, '...']]:
  """The description of a run's data set, and its mean training image.

  Raises:
    UserError: there is none, or it is damaged.
  """
  return parse(read_content(path))


def read_content(path: str | os.PathLike) -> dict[str, Any]:
  """The content of dataset.json.

  Raises:
    UserError: there is none, or it is damaged.
  """
  record = records.read_record(
    path, 'dataset.json', ('info', 'digest', 'pixel_mean')
  )
  if record is None:
    raise UserError(
      f'{path} lacks dataset.json: train it further first, or name another run'
    )
  with records.damaged(path, 'dataset.json'):
    info, mean = parse(record)
    info_lib.check(info)
    if mean.shape != info.image_shape or not np.isfinite(mean).all():
      raise ValueError(f'its pixel_mean is of shape {list(mean.shape)}')
  return record


def parse(
  record: Mapping[str, Any],
) -> tuple[DatasetInfo, Float32[np.ndarray, '...']]:
  """What `read_content` gives: the description and the mean image.

  The image is black where the network's input does not need it.
  """
  values: dict[str, Any] = {
    name: tuple(value) if isinstance(value, list) else value
    for name, value in record['info'].items()
  }
  info, mean = DatasetInfo(**values), record['pixel_mean']
  if mean is None:
    return info, np.zeros(info.image_shape, np.float32)
  with np.errstate(over='ignore'):  # What is not finite is refused.
    return info, np.array(mean, np.float32)


def has_noisy_test(path: str | os.PathLike) -> bool:
  """Whether part of a run's test labels may be wrong, see DatasetInfo.

  Raises:
    UserError: its record is damaged.
  """
  record = records.read_record(path, 'dataset.json', ('info',))
  return record is not None and bool(record['info'].get('noisy_test'))
