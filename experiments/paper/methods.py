"""The methods that the paper compares, and the labels that it gives them."""

from collections.abc import Iterable, Mapping
from typing import Any

from configs import common
from experiments.paper import scales
from experiments.paper.registry import RunSpec
from sce_jax.errors import UserError

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


def noise_of(dataset: str, noise: str) -> tuple[str, float]:
  """A noise's name in configs, and its rate.

  Args:
    dataset: the data set, whose own asymmetric noise is 'asymmetric R'.
    noise: such as 'clean', 'symmetric 0.4' or 'asymmetric 0.4'; a label set
      of the data set, such as 'worse'; common.GIVEN.

  Raises:
    UserError: what stands for the rate is no number, or there is none, or one
      where the noise has none.
  """
  if noise == common.GIVEN:
    return 'clean', 0.0
  kind, _, rate = noise.partition(' ')
  kind = scales.asymmetric(dataset) if kind == 'asymmetric' else kind
  # Labels that come with the data are as they are.
  given = scales.module(dataset).get_config().data.label_sets
  if kind in ('clean', *scales.noises(dataset, ()), *given):
    if rate:
      raise UserError(f'noise {noise!r}: {kind} has no rate, leave it out')
    return kind, 0.0
  try:
    return kind, float(rate)
  except ValueError:
    raise UserError(
      f"noise {noise!r}: give a name and a rate, as in 'symmetric 0.4'"
    ) from None


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
    scale: one of scales.SCALES.
    method: a key of METHODS.
    noise: as in `noise_of`.
    seed: the seed.
    name: what the method is called here; None: as in METHODS.
    recipe: whose settings; None for the data set's default.
    changes: further fields of the config, by path.
  """
  loss, own = METHODS[method]
  kind, rate = noise_of(dataset, noise)
  config = scales.config(
    dataset,
    scale,
    loss=loss,
    noise=kind,
    rate=rate,
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
    scale: one of scales.SCALES.
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
