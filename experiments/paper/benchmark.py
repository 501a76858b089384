"""Every method under one protocol, ranked, beside what is published.

Methods under several noises, with several seeds: all that there are unless some
are chosen; with the settings of Active Passive Loss (recipe=apl), which later
papers follow, where the data set has them and no others are chosen. The figure
is the last epoch's, never the best one's.
"""

from collections.abc import Iterable, Mapping
import dataclasses
import math
from typing import TYPE_CHECKING

from ml_collections import config_dict

from experiments.analysis import frame, marks, plots, ranks, statistics
from experiments.paper import (
  by_noise,
  methods,
  orderings,
  published_table,
  scales,
)
from experiments.paper.registry import EVERYTHING, Choice, Context, RunSpec
from experiments.report.page import (
  Block,
  Cell,
  Figure,
  Heading,
  Table,
  Text,
  number,
)
from sce_jax.errors import UserError
from sce_jax.runs import progress

if TYPE_CHECKING:  # Sweeps are planned without pandas.
  import pandas as pd

TAKES_CHOICE = True  # See registry.Choice.
NOISES = (
  'symmetric 0.4',
  'symmetric 0.6',
  'asymmetric 0.4',
  'pair_flip 0.4',
  'part_dependent 0.4',
)
# What two CPU cores can finish, where a run takes more than seconds.
SHORT = ('symmetric 0.4', 'asymmetric 0.4', 'part_dependent 0.4')
# An accuracy below so many times 1 / K is called chance.
_CHANCE = 1.5


def sweep(
  dataset: str, scale: str, choice: Choice = EVERYTHING
) -> list[RunSpec]:
  """All methods that can be trained on the data set, under all noises."""
  return [
    RunSpec({'method': loss, 'noise': noise, 'seed': str(seed)}, config)
    for (loss, noise), configs in _cells(dataset, scale, choice).items()
    if not isinstance(configs, str)
    for seed, config in enumerate(configs)
  ]


def _cells(
  dataset: str, scale: str, choice: Choice
) -> dict[tuple[str, str], list[config_dict.ConfigDict] | str]:
  """The configs of all seeds by method and noise, or why there are none.

  Raises:
    UserError: a method or noise that is chosen is not known, or none of the
      chosen methods can be trained.
  """
  # Which methods there are is known where they are.
  from sce_jax import methods as all_methods  # noqa: PLC0415
  from sce_jax.config import check  # noqa: PLC0415

  for loss in choice.losses:
    all_methods.find(loss)
  scaled = scales.scale_of(dataset, scale)
  count = scaled.seeds if choice.seeds is None else choice.seeds
  recipe = _recipe(dataset, choice)
  cells: dict[tuple[str, str], list[config_dict.ConfigDict] | str] = {}
  for given in _noises(dataset, scale, choice):
    noise, rate = methods.noise_of(dataset, given)

    def config(loss, seed, noise=noise, rate=rate):
      return scales.config(
        dataset,
        scale,
        loss=loss,
        noise=noise,
        rate=rate,
        seed=seed,
        recipe=recipe,
      )

    check.check_config(config('ce', 0))  # Is it the noise that cannot be?
    for loss in choice.losses or all_methods.SPECS:
      try:
        check.check_config(config(loss, 0))
        cells[loss, given] = [config(loss, seed) for seed in range(count)]
      except UserError as error:
        cells[loss, given] = str(error)
  if all(isinstance(why, str) for why in cells.values()):
    raise UserError(f'nothing to train: {next(iter(cells.values()))}')
  return cells


def _noises(dataset: str, scale: str, choice: Choice) -> list[str]:
  few = scales.scale_of(dataset, scale).few
  noises = choice.noises or scales.noises(dataset, SHORT if few else NOISES)
  # Of two names for one noise the first.
  named = {
    methods.noise_of(dataset, given): given for given in reversed(noises)
  }
  return [given for given in noises if given in named.values()]


def _recipe(dataset: str, choice: Choice) -> str | None:
  """The recipe that is chosen, else apl, or None where there is none."""
  if choice.recipe is not None:
    return choice.recipe
  try:
    scales.module(dataset).get_config('recipe=apl')
  except ValueError:
    return None
  return 'apl'


def report(context: Context, runs: 'pd.DataFrame') -> list[Block]:
  """Accuracy, ranks, published figures, what could not be trained."""
  cells = _cells(context.dataset, context.scale, context.choice)
  finished, ended = frame.finished(runs), frame.ended(runs)
  scores = _scores(runs)
  found = ranks.rank(scores) if scores.shape[1] else None
  ranked = found.average.index if found else ()
  names = _names([*ranked, *(loss for loss, _ in cells)], finished)
  blocks: list[Block] = [
    Text(_protocol(context)),
    Heading('Accuracy'),
    _accuracy(runs, names, found),
    *_not_trained(cells, names),
    *_chance(finished, names),
    Heading('Ranks'),
    *_ranks(scores, found, names),
    *(orderings.blocks(scores, names) if found else []),
    Heading('Beside what was published'),
    *published_table.blocks(
      context,
      ended,
      {loss: (plots.label(loss), name) for loss, name in names.items()},
      _recipe(context.dataset, context.choice),
    ),
    Heading('What was learnt'),
    *_learnt(ended, names),
    Heading('What it costs'),
    _costs(finished, names),
  ]
  return blocks


def _names(losses: Iterable[str], runs: 'pd.DataFrame') -> dict[str, str]:
  """What tables call each method, with its marks, in the order given."""
  results = {run.config['loss']['name']: run.result for run in runs.run}
  return {
    loss: plots.label(loss) + marks.mark(loss, results.get(loss))
    for loss in dict.fromkeys(losses)
  }


def _protocol(context: Context) -> str:
  recipe = _recipe(context.dataset, context.choice)
  if recipe is None:
    said = 'The data set has no recipe=apl; its default one is used.'
  else:
    said = f'recipe={recipe}.'
  return (
    f'{said} Asymmetric noise here: {scales.asymmetric(context.dataset)}.'
    ' Methods have the settings that their papers have for this data set, or'
    ' for CIFAR-10, unless its config says otherwise.'
  )


def _scores(runs: 'pd.DataFrame') -> 'pd.DataFrame':
  """Test accuracy, a row per noise and seed, a column per method.

  A run that diverged has -inf. Methods that lack a run are left out.
  """
  if not len(runs):
    return runs
  known = frame.ended(runs).copy()
  known.loc[known.status == 'failed', 'test_accuracy'] = -math.inf
  table = known.pivot_table(
    'test_accuracy', index=['noise', 'seed'], columns='method', sort=False
  )
  return table.dropna(axis=1)


def _accuracy(
  runs: 'pd.DataFrame', names: Mapping[str, str], found: ranks.Ranks | None
) -> Table:
  columns = {
    given: frame.best(some, 'method')
    for given, some in runs.groupby('noise', sort=False)
  }
  ranked = found.average.to_dict() if found else {}
  untrained = Cell('not trained')
  return Table(
    'accuracy',
    'Test accuracy of the last epoch in per cent, mean ± standard deviation'
    ' over seeds, by average rank',
    ['method', 'average rank', *columns],
    [
      [
        name,
        number(ranked.get(loss)),
        *(cells.get(loss, untrained) for cells in columns.values()),
      ]
      for loss, name in names.items()
    ],
    ' '.join(
      filter(
        None,
        [
          f'{statistics.BEST_NOTE} Not told apart: two-sided paired t-test over'
          f' seeds, p of at least {statistics.SIGNIFICANCE:g}; no correction'
          ' for the many methods.',
          marks.note(names.values()),
        ],
      )
    ),
  )


def _not_trained(
  cells: Mapping[tuple[str, str], object], names: Mapping[str, str]
) -> list[Block]:
  reasons: dict[str, str] = {}
  for (loss, _), configs in cells.items():
    if isinstance(configs, str):
      reasons[names[loss]] = configs
  return [Text(f'Not trained: {name}: {x}.') for name, x in reasons.items()]


def _chance(runs: 'pd.DataFrame', names: Mapping[str, str]) -> list[Block]:
  """Which methods have runs that learned nothing."""
  if not len(runs):
    return []
  chance = _CHANCE / runs.run.iloc[0].info.num_classes
  listed = [
    f'{names[loss]}: {low} of {len(some)}'
    for loss, some in runs.groupby('method', sort=False)
    if (low := (some.test_accuracy < chance).sum())
  ]
  if not listed:
    return []
  return [
    Text(
      f'Runs at chance, with an accuracy below {100 * chance:.0f} %:'
      f' {"; ".join(listed)}. Where a method has many, its settings do not fit'
      ' this data set, network or learning rate.',
      warning=True,
    )
  ]


def _ranks(
  scores: 'pd.DataFrame', found: ranks.Ranks | None, names: Mapping[str, str]
) -> list[Block]:
  if found is None or len(found.average) < 2:
    return [Text('Ranks need two methods that have all their runs.')]
  if found.blocks < 2:
    return [Text('Ranks of one draw of labels do not tell methods apart.')]
  noises = scores.index.unique('noise')
  wide = ranks.critical_difference(scores.shape[1], len(noises))
  named = dataclasses.replace(found, average=found.average.rename(names))
  tied = named.tied
  return [
    Figure(
      'ranks',
      f'Average ranks over {progress.counted(found.blocks, "draw")} of labels'
      f' under {progress.counted(len(noises), "noise")}, with half the critical'
      ' difference to either side: methods whose lines do not overlap are told'
      ' apart. Filled: overlaps the best.'
      f' The critical difference is {found.difference:.1f} ranks for other'
      ' seeds under these noises (Nemenyi, 5 %, each noise and seed a block),'
      f' and {wide:.1f} for other noises of their kind (each noise a block).',
      ranks.plot(named, wide),
    ),
    Text(
      f'{_friedman(found.pvalue)} Other methods that are not told apart from'
      f' the best: {len(tied) - 1} of {len(named.average) - 1}. A run that'
      ' diverged has the last rank.'
    ),
  ]


def _friedman(pvalue: float) -> str:
  if math.isnan(pvalue):
    return "Friedman's test needs three methods."
  return f'Friedman: p = {pvalue:.2g}, each noise and seed a block.'


def _learnt(runs: 'pd.DataFrame', names: Mapping[str, str]) -> list[Block]:
  trained = set(runs.method)
  shown = {loss: name for loss, name in names.items() if loss in trained}
  if not shown:
    return []
  return [
    by_noise.table(
      'worst_class', 'Test accuracy of the class that is worst', runs, shown
    ),
    by_noise.memorised(runs, shown),
    by_noise.table(
      'lost', 'Lost since its best epoch', runs, shown, frame.LOST_NOTE
    ),
  ]


def _costs(runs: 'pd.DataFrame', names: Mapping[str, str]) -> Table:
  seconds = runs.groupby('method').train_seconds.mean()
  return Table(
    'costs',
    'Seconds a run over all noises and seeds, of runs trained together each'
    " one's share",
    ['method', 'seconds'],
    [[name, number(seconds[x])] for x, name in names.items() if x in seconds],
    'Seconds include compilation, and whatever else the machine did.',
  )
