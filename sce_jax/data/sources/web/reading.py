"""A data set from the web as a source: found, prepared, chosen, opened."""

from collections.abc import Callable, Mapping, Sequence
import os
from typing import Any

from jaxtyping import Int64, UInt8
import numpy as np

from sce_jax.data import decode, threads
from sce_jax.data.data_config import DataConfig
from sce_jax.data.records import SIDE, Records
from sce_jax.data.sources import memory, place, summary
from sce_jax.data.sources.columns import Columns, Part
from sce_jax.data.sources.web import choosing, listing, preparation
from sce_jax.data.sources.web.listing import Listing
from sce_jax.data.sources.web.prepared import Prepared
from sce_jax.errors import UserError

# Images that are decoded between two steps of the bar.
_AT_A_TIME = 1024


def read(
  name: str,
  find: Callable[[DataConfig], Listing],
  config: DataConfig,
  data_dir: str | None,
) -> Columns:
  """Opens a data set; what of it is not prepared yet is.

  Args:
    name: of the data set.
    find: reads its lists in config.data.path.
    config: the `data` section of a config. Without a path the data must be
      prepared in data_dir.
    data_dir: where they are prepared: a folder, here or in a cloud; None for
      TFDS_DATA_DIR or tfds's default.

  Raises:
    UserError: it cannot be used; one line.
  """
  if config.held_out:
    raise UserError(
      f'{name} has splits of its own: leave config.data.held_out out'
    )
  if (config.image_size or SIDE) > config.prepared_side:
    raise UserError(
      f'config.data.image_size={config.image_size or SIDE} is more than'
      f' config.data.prepared_side={config.prepared_side}, to which images are'
      ' made smaller: give a larger prepared_side, or a smaller image_size'
    )
  settings = preparation.Settings(
    config.prepared_side, config.prepared_quality, config.max_unreadable
  )
  # Which images of each class there are is known once all are prepared.
  limit = config.limit if config.per_class is None else None
  wanted = dict.fromkeys((listing.TEST, listing.VALIDATION), config.limit)
  wanted |= dict.fromkeys(choosing.TRAIN_SPLITS[config.train_split], limit)

  def found() -> Listing | None:
    if config.path is None:
      return None
    listed = find(config)
    _check_splits(listed.path, listed.splits, config)
    return listed

  made = preparation.prepare(
    name, found, wanted, settings, place.data_dir(data_dir)
  )
  _check_splits(str(made.folder), made.manifest['splits'], config)
  return _columns(made, config)


def _check_splits(
  where: str, splits: Mapping[str, Any], config: DataConfig
) -> None:
  for split in choosing.TRAIN_SPLITS[config.train_split]:
    if split not in splits:
      raise UserError(
        f'{where} has no {split} split, which'
        f' config.data.train_split={config.train_split} asks for: it has'
        f' {", ".join(splits)}'
      )


def _columns(made: Prepared, config: DataConfig) -> Columns:
  manifest, names = made.manifest, made.class_names
  notes = [
    f'prepared in {made.folder}: short side {manifest["short_side"]}, JPEG'
    f' quality {manifest["quality"]}, {_examples(manifest["splits"])}',
    *manifest['notes'],
  ]
  rows = choosing.training_rows(made, config, notes)
  train = Part(
    _images(made, rows, config),
    choosing.training_labels(made, rows),
    made.names(rows),
  )
  if config.train_split == 'clean_train':
    train = Part(train.image, train.label, train.ids, train.label)

  def clean(split: str) -> Part | None:
    own = made.rows(split)[: config.limit]
    if not len(own):
      return None
    labels = made.labels('clean_label', own)
    return Part(_images(made, own, config), labels, made.names(own))

  parts = (train, clean(listing.TEST), clean(listing.VALIDATION))
  transition, shown = _transition(made, config, notes)
  return Columns(
    train,
    parts[1],
    len(names),
    names,
    id_feature='file name',
    summary={
      'source': f'{config.source}, {config.train_split}',
      'path': config.path or str(made.folder),
      'classes': summary.by_class(names, [x for x in parts if x is not None]),
      'image_shape': [config.image_size or SIDE] * 2 + [3],
      'notes': notes,
      'warnings': list(manifest['warnings']),
      'unreadable': made.unreadable(),
      'decoding': decode.description(
        is_resized=True,
        prepared={
          'short_side': manifest['short_side'],
          'quality': manifest['quality'],
          'crop': 'center' if config.feed == 'stream' else None,
        },
      ),
      **shown,
    },
    validation=parts[2],
    transition=transition,
  )


def _examples(splits: Mapping[str, Any]) -> str:
  parts = []
  for split, counts in splits.items():
    text = f'{split} {counts["examples"]:,}'
    if counts['prepared'] < counts['listed']:
      text += f' (of {counts["listed"]:,} listed {counts["prepared"]:,} are)'
    if counts['prepared']:
      parts.append(text)
  return ', '.join(parts)


def _transition(
  made: Prepared, config: DataConfig, notes: list[str]
) -> tuple[np.ndarray | None, dict[str, Any]]:
  """The measured matrix of the training labels, and what data.json has."""
  both = made.manifest['both']
  if both is None or config.train_split == 'clean_train':
    return None, {}
  counts = np.array(both)
  matrix = listing.transition(counts)
  wrong = 1 - np.trace(counts) / counts.sum()
  notes.append(
    f'T[i, j] = P(noisy j | clean i) is measured on {counts.sum():,} images'
    f' with both labels, of which {100 * wrong:.2f} % have a wrong noisy one'
  )
  shown = {'transition': matrix.round(4).tolist(), 'transition_counts': both}
  if config.train_split == 'noisy_and_clean':
    sizes = made.manifest['splits']
    noisy = sizes[listing.NOISY_TRAIN]['examples']
    share = noisy / (noisy + sizes[listing.CLEAN_TRAIN]['examples'])
    matrix = share * matrix + (1 - share) * np.eye(len(matrix))
  return matrix, shown


def _images(
  made: Prepared, rows: Int64[np.ndarray, ' M'], config: DataConfig
) -> Records | UInt8[np.ndarray, 'M H W 3']:
  images = made.images(rows)
  if config.feed == 'stream':
    return images
  return _decoded(images, config.image_size or SIDE)


def _decoded(images: Records, side: int) -> UInt8[np.ndarray, 'M H W 3']:
  """Images as pixels in memory, each squeezed to a square."""
  memory.check(
    f'{len(images):,} images of {side} x {side} x 3',
    len(images) * side * side * 3,
  )
  made = np.empty((len(images), side, side, 3), np.uint8)

  def decode_into(item: tuple[int, bytes]) -> None:
    row, content = item
    made[row] = decode.pixels(content, (side, side), 3)

  for start in range(0, len(images), _AT_A_TIME):
    rows: Sequence[int] = range(start, min(start + _AT_A_TIME, len(images)))
    try:
      contents = images.read(rows)
      threads.in_threads(decode_into, list(zip(rows, contents, strict=True)))
    except (OSError, decode.UnreadableError) as error:
      raise UserError(
        f'{os.path.dirname(images.files[0])}: a prepared image cannot be read'
        f' ({error}): remove the damaged file, and the same command makes it'
        ' again'
      ) from None
  return made
