"""What is said of a config that can be trained, before it is."""

from jaxtyping import Float64
import numpy as np

from sce_jax import methods, noise
from sce_jax.config import rates
from sce_jax.config.check import Config
from sce_jax.data import labels
from sce_jax.data.info import DatasetInfo
from sce_jax.data.labels import NoiseConfig

# A method is told a wrong noise rate if it is off by more.
_SMALL = 0.05


def of(config: Config, info: DatasetInfo) -> list[str]:
  """What to say of a method that will not be what its name says.

  Args:
    config: the config, complete.
    info: the data set's description.

  Returns:
    Lines.
  """
  found = [_too_short(config), _told_another_rate(config, info)]
  return [line for line in found if line is not None]


def _too_short(config: Config) -> str | None:
  spec, epochs = methods.find(config.loss.name), config.train.epochs
  if spec.whole_after is None:
    return None
  least = spec.whole_after(config.loss.hparams)
  if epochs >= least:
    return None
  return (
    f'warning: with these settings {config.loss.name} needs {least} epochs to'
    f' begin, or to come to full strength; there are {epochs}'
  )


def _told_another_rate(config: Config, info: DatasetInfo) -> str | None:
  """What to say if a method is told another noise rate than there is.

  A config file tells it the rate of the noise that was named then; flags may
  have changed the noise since.
  """
  told, noise_config = methods.find(config.loss.name).told_rate, config.noise
  matrix = labels.transition_matrix(noise_config, info)
  if matrix is not None:
    sizes = _sizes(noise_config, info.num_classes)
    share: float | None = 1 - float(
      np.average(matrix.diagonal(), weights=sizes)
    )
  elif noise_config.second:
    share = None
  else:
    share = rates.overall(info.name, noise_config.name, noise_config.rate)
  if not told or share is None:
    return None
  # Of a replaced image no label is right.
  share += noise_config.open_set_rate * (1 - share)
  given = config.loss.hparams[told]
  if abs(given - share) < _SMALL:
    return None
  return (
    f'warning: {config.loss.name} is told by config.loss.{told}={given:g} which'
    f" share of the labels is wrong, but under the config's noise it is"
    f' {share:.3g}'
  )


def _sizes(config: NoiseConfig, num_classes: int) -> Float64[np.ndarray, ' K']:
  """What share of each class is kept; all of each where none is thinned."""
  if not config.imbalance:
    return np.ones(num_classes)
  return noise.shares(config.imbalance, config.imbalance_ratio, num_classes)
