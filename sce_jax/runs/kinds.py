"""Of which types the values in a run's records are, by file; see files.py.

A record may lack what earlier versions did not write. Needs no jax.
"""

from collections.abc import Mapping
from typing import Any, Required, TypeAlias, TypedDict

from sce_jax.data.info import DatasetInfo
from sce_jax.storage.typed import Classes, Number, Share, Size, Whole

_Matrix: TypeAlias = list[list[Share]]
_Figure: TypeAlias = Number | None


class _Named(TypedDict):
  name: str


class _Noise(TypedDict, total=False):
  name: Required[str]
  rate: Required[Number]
  mode: str
  seed: int | None
  second: str
  second_rate: Number
  imbalance: str
  imbalance_ratio: Number
  open_set_from: str
  open_set_rate: Number


class _Train(TypedDict, total=False):
  epochs: Whole


class _Config(TypedDict, total=False):
  """What pages and sweeps read of a config; check.py checks all of it."""

  seed: Required[Whole]
  data: Required[_Named]
  noise: Required[_Noise]
  loss: Required[_Named]
  train: _Train


class Description(TypedDict, total=False):
  """config.json."""

  format: Whole
  config: Required[_Config]
  command: list[str]
  created: str
  python: str
  versions: dict[str, str]
  devices: list[str]
  processor: str
  git_commit: str | None
  code: dict[str, str]
  changes: list[list[str]]
  together: Whole


class _Dataset(TypedDict, total=False):
  info: DatasetInfo
  digest: Whole
  other_digests: dict[str, Whole]


class _Prepared(TypedDict):
  short_side: Size
  quality: Whole
  crop: str | None


class _Decoding(TypedDict, total=False):
  version: Required[Whole]
  resize: Required[str | None]
  scale: Whole | None
  prepared: _Prepared


class _Summary(TypedDict, total=False):
  source: str
  transition: _Matrix
  decoding: _Decoding | None


class _NoiseRecord(TypedDict, total=False):
  origins: dict[str, str]
  rate: Share
  matrix: _Matrix


class _Initial(TypedDict, total=False):
  init_from: str
  sha256: str
  head: str
  title: str | None


class _Figures(TypedDict, total=False):
  loss: float | None  # Not finite if it diverged.
  accuracy: _Figure
  accuracy_noisy: _Figure
  memorised: _Figure
  class_accuracy: list[_Figure] | None
  examples: Whole


class Epoch(TypedDict, total=False):
  """A line of metrics.jsonl."""

  epoch: Required[Whole]
  step: Required[Whole]
  learning_rate: Number
  seconds: Number
  images_per_second: Number
  train: _Figures | None
  test: _Figures | None
  train_eval: _Figures | None
  validation: _Figures | None


class _Result(TypedDict, total=False):
  run: str
  dataset: str
  loss: str
  noise: str
  noise_rate: Number
  realised_rate: _Figure
  seed: Whole
  epochs: Whole
  test_accuracy: _Figure
  noisy_test: bool
  memorised: _Figure
  train_seconds: _Figure
  test: _Figures | None
  train_eval: _Figures | None
  validation: _Figures | None
  init_from: str | None
  init_sha256: str | None


class _Failed(TypedDict, total=False):
  failed: str


class _Input(TypedDict, total=False):
  shape: Required[list[Size]]
  dtype: Required[str]
  decoding: _Decoding | None


class Exported(TypedDict, total=False):
  """model.json of an exported network."""

  classes: Classes
  input: _Input
  # inference.py checks them against the dataclasses that they become.
  network: dict[str, str | bool | Number | None]
  normalization: dict[str, str | Number | list[Number]]
  versions: dict[str, str]
  sha256: dict[str, str]
  data: dict[str, Any]
  run: dict[str, Any]


# By the file's name.
RECORDS: Mapping[str, Any] = {
  'dataset.json': _Dataset,
  'data.json': _Summary,
  'noise.json': _NoiseRecord,
  'initial.json': _Initial,
  'result.json': _Result,
  'failed.json': _Failed,
}
