"""The `data` section of a config, which every source of data is given."""

from collections.abc import Mapping
import dataclasses

from sce_jax.data.augment import AugmentConfig


@dataclasses.dataclass(frozen=True)
class DataConfig:
  """The `data` section of a config; config/base.py explains each field."""

  source: str
  name: str
  path: str | None
  image_size: int | None
  held_out: float
  validation: float
  max_unreadable: float
  pixel_max: float
  mean: tuple[float, ...] | None
  std: tuple[float, ...] | None
  clean_labels: bool
  label_sets: Mapping[str, str]
  normalization: str
  limit: int | None
  relabel: str | None
  feed: str
  workers: int | None
  train_split: str
  per_class: int | None
  per_class_seed: int
  prepared_side: int
  prepared_quality: int
  augment: AugmentConfig
