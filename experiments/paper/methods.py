"""The methods that the paper compares, and the labels that it gives them."""

from collections.abc import Iterable, Mapping
from typing import Any

from experiments.paper import scales
from experiments.paper.registry import RunSpec

# By name: the loss, and fields of the config that it changes.
METHODS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
  'CE': ('ce', {}),
  'LSR': ('lsr', {}),
  'Bootstrap soft': ('bootstrap_soft', {}),
  'Bootstrap hard': ('bootstrap_hard', {}),
  'Forward, true T': ('forward', {}),
  'Forward, estimated T': ('forward', {'loss.transition': 'anchors'}),
  'D2L': ('d2l', {}),
  'GCE': ('gce', {}),
  'SL': ('sl', {}),
  'RCE': ('rce', {}),
}


def trial(
  dataset: str,
  scale: str,
  method: str,
  noise: str,
  seed: int,
  *,
  name: str | None = None,
  recipe: str | None = None,
  changes: Mapping[str, Any] | None = None,
) -> RunSpec:
  """A run of a method.

  Args:
    dataset: the data set.
    scale: full, short or tiny.
    method: a key of METHODS.
    noise: 'clean', 'symmetric R' or 'asymmetric R'.
    seed: the seed.
    name: what the method is called here; None: as in METHODS.
    recipe: whose settings; None for the data set's default.
    changes: further fields of the config, by path.
  """
  loss, own = METHODS[method]
  kind, _, rate = noise.partition(' ')
  if kind == 'asymmetric':
    kind = scales.asymmetric(dataset)
  config = scales.config(
    dataset,
    scale,
    loss=loss,
    noise=kind,
    rate=float(rate or 0),
    seed=seed,
    recipe=recipe,
    changes={**own, **(changes or {})},
  )
  labels = {'method': name or method, 'noise': noise, 'seed': str(seed)}
  return RunSpec(labels, config)


def trials(
  dataset: str, scale: str, cells: Iterable[tuple[str, str]]
) -> list[RunSpec]:
  """The runs of all seeds.

  Args:
    dataset: the data set.
    scale: full, short or tiny.
    cells: method and noise of each, as in `trial`.
  """
  return [
    trial(dataset, scale, method, noise, seed)
    for method, noise in cells
    for seed in seeds(dataset, scale)
  ]


def seeds(dataset: str, scale: str) -> range:
  """The seeds of a scale."""
  return range(scales.scale_of(dataset, scale).seeds)
