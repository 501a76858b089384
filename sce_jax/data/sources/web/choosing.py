"""Which of the examples are trained on."""

from jaxtyping import Int64
import numpy as np

from sce_jax.data.data_config import DataConfig
from sce_jax.data.sources.web import listing
from sce_jax.data.sources.web.prepared import Prepared
from sce_jax.errors import UserError

# The splits that each choice of config.data.train_split trains on.
TRAIN_SPLITS = {
  'noisy_train': (listing.NOISY_TRAIN,),
  'clean_train': (listing.CLEAN_TRAIN,),
  'noisy_and_clean': (listing.NOISY_TRAIN, listing.CLEAN_TRAIN),
}


def training_rows(
  made: Prepared, config: DataConfig, notes: list[str]
) -> Int64[np.ndarray, ' M']:
  """The rows of the index that are trained on, in order.

  Args:
    made: the prepared data set.
    config: the `data` section of a config.
    notes: is given a sentence on what was chosen.

  Raises:
    UserError: there are none, or a class has too few.
  """
  rows = np.concatenate(
    [made.rows(split) for split in TRAIN_SPLITS[config.train_split]]
  )
  if config.per_class is not None:
    rows = _balanced(made, rows, config)
    notes.append(
      f'{len(rows):,} training images, as many of each class, drawn with'
      f' config.data.per_class_seed={config.per_class_seed}'
    )
  return rows[: config.limit]


def training_labels(
  made: Prepared, rows: Int64[np.ndarray, ' M']
) -> np.ndarray:
  """What is trained on: noisy labels of noisy_train, clean ones of others."""
  splits = list(made.manifest['splits'])
  is_noisy = made.index['split'][rows] == splits.index(listing.NOISY_TRAIN)
  return np.where(
    is_noisy,
    made.labels('noisy_label', rows),
    made.labels('clean_label', rows),
  )


def _balanced(
  made: Prepared, rows: Int64[np.ndarray, ' N'], config: DataConfig
) -> Int64[np.ndarray, ' M']:
  labels = training_labels(made, rows)
  counts = np.bincount(labels, minlength=len(made.class_names))
  smallest = int(counts.argmin())
  wanted = config.per_class or int(counts[smallest])
  if not 0 < wanted <= counts[smallest]:
    raise UserError(
      f'config.data.per_class is {config.per_class}, but class'
      f' {made.class_names[smallest]!r} has {counts[smallest]:,} training'
      ' images: give at most as many, or 0 for as many as it has'
    )
  order = np.random.default_rng(config.per_class_seed).permutation(len(rows))
  kept = [
    order[labels[order] == k][:wanted] for k in range(len(made.class_names))
  ]
  return rows[np.sort(np.concatenate(kept))]
