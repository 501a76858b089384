"""Reads any tfds data set of images and labels, without TensorFlow."""

from collections.abc import Mapping
import contextlib
import io
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from sce_jax.data.data_config import DataConfig
from sce_jax.data.sources import builders, cloud, missing, place, prepare
from sce_jax.data.sources.columns import Columns, Part
from sce_jax.errors import UserError, reason_of
from sce_jax.storage import paths


def read(data_config: DataConfig, data_dir: str | None) -> Columns:
  """Reads a data set, preparing it first if it is not prepared.

  Which features hold the image and the label is found by looking.

  Args:
    data_config: the `data` section of a config. `name` is what tfds calls the
      data set, 'NAME' or 'NAME/CONFIG'; `label_sets` are further labels to
      read, a feature by the name it gets.
    data_dir: the tfds folder; None for TFDS_DATA_DIR or tfds's default. One
      in a cloud is copied down, see cloud.py.

  Raises:
    UserError: it cannot be read, or has no image or no label.
  """
  name, limit = data_config.name, data_config.limit
  label_sets = data_config.label_sets
  builder = _prepared_builder(name, data_dir)
  features = builder.info.features
  image_key, label_key = _image_and_label(name, builder.info)
  missing = [f for f in label_sets.values() if f not in features]
  if missing:
    raise UserError(
      f'data set {name!r} has no feature {missing[0]!r}, which'
      f' config.data.label_sets names; it has {", ".join(sorted(features))}'
    )
  keys = (image_key, label_key, 'id' if 'id' in features else None)
  splits = builder.info.splits
  if 'train' not in splits:
    raise UserError(
      f'data set {name!r} has no split named train; it has {", ".join(splits)}'
    )
  train, others = _read_split(builder, 'train', keys, label_sets, limit)
  test = None
  for split in ('test', 'validation'):
    if split in splits:
      test, _ = _read_split(builder, split, keys, {}, limit)
      break
  label = features[label_key]
  return Columns(
    train,
    test,
    label.num_classes,
    tuple(label.names or ()),
    others,
    keys[2] or '',
  )


def _image_and_label(name: str, info: Any) -> tuple[str, str]:
  """The features that hold the image and the class."""
  features = info.features
  if not hasattr(features, 'items'):
    raise UserError(f'data set {name!r} has no named features')
  supervised = info.supervised_keys or ()

  def choose(kind, is_kind, usual):
    found = [key for key, feature in features.items() if is_kind(feature)]
    for key in (*supervised, usual):
      if key in found:
        return key
    if len(found) == 1:
      return found[0]
    what = f'several: {", ".join(sorted(found))}' if found else 'none'
    raise UserError(
      f'data set {name!r} cannot be used: it must have one {kind}, but has'
      f' {what} (features: {", ".join(sorted(features))})'
    )

  def is_image(feature):
    shape = getattr(feature, 'shape', None)
    return (
      isinstance(shape, tuple)
      and len(shape) == 3
      and getattr(feature, 'np_dtype', None) == np.uint8
    )

  return (
    choose('image (uint8, height x width x channels)', is_image, 'image'),
    choose(
      'label (a ClassLabel)',
      lambda f: isinstance(f, tfds.features.ClassLabel),
      'label',
    ),
  )


def _prepared_builder(
  name: str, data_dir: str | None
) -> tfds.core.DatasetBuilder:
  data_dir = place.data_dir(data_dir)
  missing.check_folder(name, data_dir)
  asked = data_dir
  if paths.is_cloud(data_dir):
    data_dir = cloud.fetch(name, data_dir)
  # Reading finds the format that is there; only preparing is told one.
  builder = _builder(name, data_dir)
  if not builder.is_prepared():
    prepare.download_and_prepare(name, data_dir, asked, str(builder.version))
    builder = _builder(name, data_dir)
  file_format = builder.info.file_format
  if file_format is None or file_format.value != 'array_record':
    stored = file_format.value if file_format else 'unknown format'
    raise UserError(
      f'data set {name!r} in {builder.data_path} is stored as {stored}, which'
      ' only TensorFlow reads: convert it with `tfds convert_format'
      f' --dataset_dir={builder.data_path} --out_file_format=array_record'
      ' --out_path=NEW_DIR/...`, or name another folder with --data_dir'
    )
  return builder


def _builder(name: str, data_dir: str) -> tfds.core.DatasetBuilder:
  try:
    # A package that is missing is announced there in a box of asterisks.
    with contextlib.redirect_stdout(io.StringIO()):
      return builders.make(name, data_dir)
  except (
    tfds.core.DatasetNotFoundError,
    ValueError,
    AssertionError,
    ImportError,
  ) as error:
    line = ' '.join(str(error).split()) or type(error).__name__
    line = line.partition(' Available datasets')[0]
    raise UserError(
      f'{missing.explain(name, data_dir)}; tfds cannot make it ({line[:200]})'
    ) from None
  except Exception as error:  # noqa: BLE001  Of damaged files, of any type.
    raise _damaged(name, data_dir, error) from None


def _damaged(name: str, path: str, error: Exception) -> UserError:
  reason = reason_of(error)
  return UserError(
    f'data set {name!r} in {path} is damaged ({reason}): remove its folder, so'
    ' that it is prepared again, or name another with --data_dir'
  )


def _read_split(
  builder: tfds.core.DatasetBuilder,
  split: str,
  keys: tuple[str, str, str | None],
  label_sets: Mapping[str, str],
  limit: int | None,
) -> tuple[Part, dict[str, np.ndarray]]:
  try:
    source = builder.as_data_source(split=split)
    records = source.__getitems__(range(len(source))[:limit])
  except Exception as error:  # noqa: BLE001  Of damaged files, of any type.
    raise _damaged(builder.name, str(builder.data_path), error) from None
  image_key, label_key, id_key = keys

  def column(feature):
    return np.array([r[feature] for r in records], np.int32)

  shapes = {np.shape(r[image_key]) for r in records}
  if len(shapes) > 1:
    first, second, *_ = sorted(shapes)
    raise UserError(
      f'data set {builder.name!r} has images of several sizes, such as'
      f' {first} and {second}: images of one size are needed'
    )
  ids = np.arange(len(records))
  if id_key is not None:
    # Of texts NumPy's own type would drop zeros at their end.
    ids = np.array([r[id_key] for r in records], object)
  part = Part(np.stack([r[image_key] for r in records]), column(label_key), ids)
  return part, {name: column(key) for name, key in label_sets.items()}
