"""What a run is called on a page: by what matters, never by bookkeeping."""

from collections.abc import Iterable
import re

from experiments.analysis import pictures, plots
from sce_jax.runs.read import Run

# Fields of a config that change no figure of a run: no run is named by them.
_BOOKKEEPING = re.compile(
  r'checkpoint\.|eval\.|data\.(feed|workers)$'
  r'|train\.(steps_per_dispatch|runner|record_averages|record_margins)$|model\.layout$'
)
# What a run's name says.
_NOISE = ('noise.name', 'noise.rate', 'noise.second', 'noise.second_rate')
_NAMING = {'method', 'noise', 'loss.name', 'seed', *_NOISE}


def method(run: Run) -> str:
  """Its method, as configs call it."""
  return run.config['loss']['name']


def parts(run: Run) -> tuple[str, str, list[str]]:
  """Its method, and what it differs in but the seed: its noise and the rest."""
  labels = {
    key: value
    for key, value in run.labels.items()
    if key != 'seed' and not _BOOKKEEPING.match(key)
  }
  noise = labels.pop('noise', '')
  # A rate says nothing without its noise.
  if any([labels.pop(key, '') for key in _NOISE]):
    noise = pictures.noise_title(run.config['noise']) or 'clean'
  labels.pop('loss.name', '')
  learner = labels.pop('method', '') or plots.label(method(run))
  return learner, noise, [f'{key}={value}' for key, value in labels.items()]


def of_run(run: Run) -> str:
  """A run's name, of all but its seed."""
  learner, noise, others = parts(run)
  return ', '.join([*filter(None, [learner, noise]), *others])


def further_fields(runs: Iterable[Run]) -> list[str]:
  """What runs differ in, apart from what names them."""
  keys = dict.fromkeys(key for run in runs for key in run.labels)
  return [x for x in keys if x not in _NAMING and not _BOOKKEEPING.match(x)]
