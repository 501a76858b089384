"""Of which types the values in a run's records are, by file; see files.py.

A record may lack what earlier versions did not write. Needs no jax.
"""

from collections.abc import Mapping
import numbers
from typing import Any, Required, TypeAlias, TypedDict

from sce_jax.data.info import DatasetInfo
from sce_jax.storage.typed import Text

Matrix: TypeAlias = list[list[float]]
_Share: TypeAlias = float | None


class _Named(TypedDict):
  name: str


class _Noise(TypedDict, total=False):
  name: Required[str]
  rate: Required[float]
  mode: str
  seed: int | None
  second: str
  second_rate: float
  imbalance: str
  imbalance_ratio: float
  open_set_from: str
  open_set_rate: float


class _Train(TypedDict, total=False):
  epochs: int


class _Config(TypedDict, total=False):
  """What pages and sweeps read of a config; check.py checks all of it."""

  seed: Required[int]
  data: Required[_Named]
  noise: Required[_Noise]
  loss: Required[_Named]
  train: _Train


class Description(TypedDict, total=False):
  """config.json."""

  format: int
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


class _Dataset(TypedDict, total=False):
  info: DatasetInfo
  digest: int
  other_digests: dict[str, int]


class _Decoding(TypedDict, total=False):
  version: Required[int]
  resize: Required[str | None]
  scale: int | None


class _Summary(TypedDict, total=False):
  source: str
  transition: Matrix
  decoding: _Decoding | None


class _NoiseRecord(TypedDict, total=False):
  origins: dict[str, str]
  rate: float
  matrix: Matrix


class _Initial(TypedDict, total=False):
  init_from: str
  sha256: str
  head: str
  title: str | None


class _Figures(TypedDict, total=False):
  loss: numbers.Real | None
  accuracy: _Share
  accuracy_noisy: _Share
  memorised: _Share
  class_accuracy: list[_Share] | None
  examples: int


class Epoch(TypedDict, total=False):
  """A line of metrics.jsonl."""

  epoch: Required[int]
  step: Required[int]
  learning_rate: float
  seconds: float
  images_per_second: float
  train: _Figures | None
  test: _Figures | None
  train_eval: _Figures | None
  validation: _Figures | None


class _Result(TypedDict, total=False):
  run: str
  dataset: str
  loss: str
  noise: str
  noise_rate: float
  realised_rate: _Share
  seed: int
  epochs: int
  test_accuracy: _Share
  noisy_test: bool
  memorised: _Share
  train_seconds: _Share
  test: _Figures | None
  train_eval: _Figures | None
  validation: _Figures | None
  init_from: str | None
  init_sha256: str | None


class _Failed(TypedDict, total=False):
  failed: str


class _Input(TypedDict, total=False):
  shape: Required[list[int]]
  dtype: Required[str]
  decoding: _Decoding | None


class Exported(TypedDict, total=False):
  """model.json of an exported network."""

  classes: list[Text]
  input: _Input
  network: dict[str, Any]
  normalization: dict[str, Any]
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
