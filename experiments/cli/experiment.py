"""One of the paper's tables or figures: trains its runs, writes a page.

python launch.py experiment
    Lists them.
python launch.py experiment comparison --dataset=mnist --scale=short
"""

from typing import TYPE_CHECKING

from absl import flags

from experiments.cli import command_line, common_flags, runtime
from sce_jax.errors import UserError
from sce_jax.runs import progress

if TYPE_CHECKING:  # Flags are defined without them.
  from experiments.paper import registry


def define_flags(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags."""
  flags.DEFINE_string(
    'dataset',
    'digits',
    'A config file, or the name of one in configs/.',
    flag_values=values,
  )
  common_flags.define_scale(values)
  common_flags.define_workdir(values, 'Folder of all runs. None: runs/.')
  flags.DEFINE_bool(
    'report_only',
    False,
    'Train nothing: show what is there.',
    flag_values=values,
  )
  flags.DEFINE_bool(
    'dry_run', False, 'Show what would be trained.', flag_values=values
  )
  flags.DEFINE_integer(
    'class',
    None,
    'Which class to show, of an experiment that shows a chosen one.',
    lower_bound=0,
    flag_values=values,
  )
  common_flags.define_choice(values)
  _define_search(values)
  common_flags.define_run_flags(values)


def _define_search(values: flags.FlagValues) -> None:
  flags.DEFINE_multi_string(
    'search',
    [],
    'tune: FIELD=LOW..HIGH, may be repeated. None: all numbers of the method.',
    flag_values=values,
  )
  flags.DEFINE_integer(
    'trials', 24, 'tune: how many settings.', 1, flag_values=values
  )
  flags.DEFINE_float(
    'held_out',
    0.2,
    'tune: share of the training examples that chooses, with noisy labels.',
    0,
    1,
    flag_values=values,
  )
  flags.DEFINE_integer(
    'folds',
    1,
    'tune: how many such shares, each held out in turn by runs of its own.',
    1,
    flag_values=values,
  )


IMPORTS = ('experiments.paper.registry',)


def opening(values: flags.FlagValues, arguments: list[str]) -> str | None:
  """Says what will be done."""
  if not arguments or arguments == ['help']:
    return None
  if len(arguments) > 1:
    raise UserError(f'one experiment at a time, not {" ".join(arguments)}')
  _check_flags(values, arguments[0])
  root = values.workdir or 'runs'
  where = f'{arguments[0]} on {values.dataset}, {values.scale}'
  if values.dry_run:
    return f'Plans {where}'
  if values.report_only:
    return f'Reports {where}, from the runs in {root}; trains nothing'
  return f'Experiment {where}: trains what {root} lacks, then writes a page'


def _check_flags(values: flags.FlagValues, name: str) -> None:
  """Refuses flags that the experiment does not have.

  Raises:
    UserError: it does not have them, or lacks others.
  """
  if name != 'tune':
    command_line.refuse_unused(
      values,
      ['search', 'trials', 'held_out', 'folds'],
      'it is for experiment tune',
    )
  if values.dry_run and values.report_only:
    raise UserError(
      '--dry_run shows what would be trained, --report_only trains nothing:'
      ' give one of them'
    )
  if name != 'tune':
    return
  if values.dry_run or values.report_only:
    raise UserError(
      'experiment tune has neither --dry_run nor --report_only: what it trains'
      ' depends on what it finds'
    )
  if len(values.losses or ()) != 1 or len(values.noises or ()) != 1:
    raise UserError(
      'experiment tune needs one method and one noise, as in'
      " --losses=sl --noises='symmetric 0.4'"
    )


def main(values: flags.FlagValues, arguments: list[str]) -> int | None:
  """Trains and reports."""
  from experiments.paper import registry  # noqa: PLC0415

  if not arguments or arguments == ['help']:
    print(registry.describe())
    return None
  (name,) = arguments
  if not hasattr(registry.load(name), 'TAKES_CLASS'):
    command_line.refuse_unused(
      values, ['class'], f'experiment {name} shows no chosen class'
    )
  choice = common_flags.choice(values)
  if name in registry.SEARCHES:
    _search(values, choice)
    return None
  if values.dry_run:
    from experiments.sweeps import request  # noqa: PLC0415

    return request.run(
      request.SweepRequest(
        experiment=name,
        dataset=values.dataset,
        scale=values.scale,
        choice=choice,
        root=values.workdir,
        dry_run=True,
      )
    )
  with progress.phase('imports'):
    from experiments.paper import run  # noqa: PLC0415
  runtime.start(values)

  run.run(
    name,
    values.dataset,
    values.scale,
    values.workdir or 'runs',
    values.data_dir,
    train_missing=not values.report_only,
    named_class=values['class'].value,
    choice=choice,
  )
  return None


def _search(values: flags.FlagValues, choice: 'registry.Choice') -> None:
  """Runs the experiment tune."""
  runtime.start(values)
  from experiments.paper import noisy_search, tune  # noqa: PLC0415

  tune.run(
    noisy_search.Search(
      dataset=values.dataset,
      scale=values.scale,
      loss=choice.losses[0],
      noise=choice.noises[0],
      recipe=choice.recipe,
      ranges=values.search,
      trials=values.trials,
      held_out=values.held_out,
      folds=values.folds,
      seeds=choice.seeds,
    ),
    values.workdir or 'runs',
    values.data_dir,
  )
