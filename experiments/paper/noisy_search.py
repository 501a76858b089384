"""A search of a method's settings that sees noisy labels alone.

optuna says which settings are tried, and keeps them in a journal on disk.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import itertools
import math
import time
from typing import Any

from ml_collections import config_dict
import numpy as np

from experiments.paper import methods, scales
from experiments.paper.search_space import Range
from sce_jax import train
from sce_jax.config import check
from sce_jax.config.check import Config
from sce_jax.data import held_out
from sce_jax.data import labels as labels_lib
from sce_jax.data.dataset import Dataset, Split
from sce_jax.errors import UserError
from sce_jax.runs import files, progress
from sce_jax.storage import paths

_MOST_TOGETHER = 8
# The accuracy of settings that diverge: below that of any others.
DIVERGED = -1.0


@dataclasses.dataclass(frozen=True)
class Search:
  """What is searched.

  Attributes:
    dataset: a config file, or the name of one in configs/.
    scale: one of scales.SCALES.
    loss: a method's name in configs.
    noise: such as 'symmetric 0.4'.
    recipe: whose settings; None: the data set's default.
    ranges: 'FIELD=LOW..HIGH' each; empty: all numbers of the method.
    trials: how many settings are tried.
    held_out: the share of the training examples that chooses between them.
    folds: how many such shares, of other examples each, are held out in turn.
    seed: of the search, and of the labels that it sees.
    seeds: how many runs test what was chosen; None: as many as the scale has.
    chosen: what the data have chosen of fields that the config leaves to them,
      by path: the same in all runs, though those of the search have less data.
  """

  dataset: str
  scale: str
  loss: str
  noise: str
  recipe: str | None = None
  ranges: Sequence[str] = ()
  trials: int = 24
  held_out: float = 0.2
  folds: int = 1
  seed: int = 0
  seeds: int | None = None
  chosen: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def raw_config(
    self, seed: int, changes: Mapping[str, Any]
  ) -> config_dict.ConfigDict:
    """The config with some fields changed."""
    noise, rate = methods.noise_of(self.dataset, self.noise)
    return scales.config(
      self.dataset,
      self.scale,
      loss=self.loss,
      noise=noise,
      rate=rate,
      seed=seed,
      recipe=self.recipe,
      changes={**self.chosen, **changes},
    )

  def config(self, seed: int, changes: Mapping[str, Any]) -> Config:
    """The config with some fields changed, checked."""
    return check.check_config(self.raw_config(seed, changes))


@dataclasses.dataclass(frozen=True)
class Trial:
  """Settings that were tried.

  Attributes:
    number: from 0 on.
    settings: the fields' values by path.
    accuracy: on held-out noisy labels, from 0 to 1; DIVERGED if a run did.
  """

  number: int
  settings: Mapping[str, float]
  accuracy: float

  @property
  def diverged(self) -> bool:
    """Whether a run of these settings diverged."""
    return self.accuracy == DIVERGED


def hide(
  dataset: Dataset, config: Config, share: float, folds: int = 1
) -> list[Dataset]:
  """Data sets of noisy labels only, a part of them held out as the test split.

  Args:
    dataset: whose test split and true labels are hidden, with the images
      replaced that the config says.
    config: its noise and seed say which examples there are, and their labels.
    share: of the examples, in (0, 1), that is held out. Which ones depends on
      their ids alone.
    folds: how many parts there are, each of other examples; at 5 and a share of
      0.2 each example is held out once.

  Returns:
    A data set for each part.

  Raises:
    UserError: so small a data set has none to hold out, or not so many.
  """
  labels = labels_lib.apply_label_noise(
    dataset, config.noise, config.seed
  ).labels
  rows = labels_lib.used_rows(dataset, config.noise, config.seed)
  order = rows[held_out.order(dataset.train.example_id[rows])]
  ends = [round(share * len(rows) * k) for k in range(folds + 1)]
  if not 0 < ends[1] < len(rows):
    raise UserError(
      f'--held_out={share:g} of {len(rows)} examples leaves nothing to train on'
      ' or to choose by: give another share'
    )
  if ends[-1] > len(rows):
    raise UserError(
      f'--folds={folds}, each with --held_out={share:g} of the examples, are'
      f' more than there are: give at most --folds={int(1 / share + 1e-9)}'
    )

  def split(chosen: np.ndarray, *, known: bool) -> Split:
    given = labels[chosen]
    return dataclasses.replace(
      dataset.train.rows(chosen),
      label=given,
      clean_label=given if known else None,
    )

  def hold_out(first: int, last: int) -> Dataset:
    info = dataclasses.replace(
      dataset.info,
      num_train=len(rows) - (last - first),
      num_test=last - first,
      clean_labels=False,
      label_sets=(),
      noisy_test=True,
    )
    # A test split's labels count as right ones; that these are noisy is said.
    return Dataset(
      info,
      split(
        np.sort(np.concatenate([order[:first], order[last:]])), known=False
      ),
      split(np.sort(order[first:last]), known=True),
    )

  return list(itertools.starmap(hold_out, itertools.pairwise(ends)))


def search(
  request: Search,
  space: Mapping[str, Range],
  own: Mapping[str, Any],
  data: Sequence[Dataset],
  folder: paths.Path,
) -> list[Trial]:
  """Tries settings until there are enough trials; resumes.

  The search is the same whether or not it is interrupted: what is drawn depends
  on the trials before and on the seed alone.

  Args:
    request: what is searched.
    space: the ranges by path.
    own: the config's values by path, which are tried first where they lie in
      the ranges.
    data: as `hide` makes it.
    folder: of the journal and the runs.

  Returns:
    All trials, the best first.
  """
  import optuna  # noqa: PLC0415  An extra.
  from optuna import storages  # noqa: PLC0415
  from optuna.storages import journal  # noqa: PLC0415
  from optuna.trial import TrialState  # noqa: PLC0415

  optuna.logging.set_verbosity(optuna.logging.WARNING)
  folder.mkdir(parents=True, exist_ok=True)
  study = optuna.create_study(
    study_name='tune',
    storage=storages.JournalStorage(
      journal.JournalFileBackend(str(folder / 'journal.log'))
    ),
    direction='maximize',
    load_if_exists=True,
  )
  is_inside = all(p in own and own[p] in range_ for p, range_ in space.items())
  if not study.trials and is_inside:
    study.enqueue_trial(
      {
        path: abs(own[path]) if range_.is_log else own[path]
        for path, range_ in space.items()
      }
    )
  drawn_from = {path: _distribution(range_) for path, range_ in space.items()}
  most = min(scales.runs_per_program(request.dataset), _MOST_TOGETHER)
  begun, ended = time.monotonic(), 0
  while True:
    # Those that an interrupted search left are trained first.
    pending = [t for t in study.trials if t.state == TrialState.RUNNING]
    for trial in [t for t in pending if len(t.params) < len(space)]:
      study.tell(trial.number, state=TrialState.FAIL)  # Killed while drawn.
      pending.remove(trial)
    asked = sum(t.value is not None for t in study.trials) + len(pending)
    while asked < request.trials and (asked % most or not pending):
      study.sampler = optuna.samplers.TPESampler(
        seed=request.seed * 2**16 + asked, constant_liar=True
      )
      new = study.ask(drawn_from)
      pending.append(study.trials[new.number])
      asked += 1
    if not pending:
      break
    for trial, accuracy in zip(
      pending, _train(request, space, pending, data, folder), strict=True
    ):
      study.tell(trial.number, accuracy)
    ended += len(pending)
    seconds = (time.monotonic() - begun) / ended * (request.trials - asked)
    progress.log(
      f'{asked} of {request.trials} settings tried; best noisy accuracy'
      f' {study.best_value:.4f}; about {progress.duration(seconds)} left'
    )
  found = [
    Trial(t.number, _settings(space, t.params), t.value)
    for t in study.trials
    if t.value is not None
  ]
  return sorted(found, key=lambda t: (-t.accuracy, t.number))


def _distribution(range_: Range) -> Any:
  """What a value is drawn from: the size of one below 0."""
  from optuna import distributions  # noqa: PLC0415  An extra.

  low, high = sorted((range_.low, range_.high), key=abs)
  if range_.is_whole:
    return distributions.IntDistribution(int(range_.low), int(range_.high))
  if range_.is_log:
    return distributions.FloatDistribution(abs(low), abs(high), log=True)
  return distributions.FloatDistribution(range_.low, range_.high)


def _settings(
  space: Mapping[str, Range], params: Mapping[str, float]
) -> dict[str, float]:
  """The fields' values of what was drawn."""

  def value(path: str, range_: Range) -> float:
    return -params[path] if range_.is_log and range_.high < 0 else params[path]

  return {path: value(path, range_) for path, range_ in space.items()}


def _train(
  request: Search,
  space: Mapping[str, Range],
  trials: Sequence[Any],
  data: Sequence[Dataset],
  folder: paths.Path,
) -> list[float]:
  """Trains trials together; their accuracy on all held-out noisy labels."""
  # Of the noise its labels, images and examples are in the data.
  unchanged = labels_lib.NoiseConfig('clean', 0.0, 'exact', None, None)
  hidden = {
    **{f'noise.{k}': v for k, v in dataclasses.asdict(unchanged).items()},
    'data.clean_labels': False,
    'eval.train_every': None,
  }
  configs = [
    request.config(request.seed, {**hidden, **_settings(space, t.params)})
    for t in trials
  ]
  right = np.zeros(len(trials))
  for k, part in enumerate(data):
    # Reports leave runs out that are called folds.
    folders = [folder / f'{files.FOLD}{k}-trial-{t.number:03}' for t in trials]
    results = train.train_many(configs, folders, dataset=part)
    right += [
      math.nan if 'failed' in r else r['test_accuracy'] * part.info.num_test
      for r in results
    ]
  accuracy = right / sum(part.info.num_test for part in data)
  return np.nan_to_num(accuracy, nan=DIVERGED).tolist()
