"""One of the paper's tables or figures: trains its runs, writes a page.

python launch.py experiment
    Lists them.
python launch.py experiment comparison --dataset=mnist --scale=short
"""

from absl import flags

from experiments.cli import common_flags, runtime
from sce_jax.errors import UserError


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
    'confidence: which class to show.',
    lower_bound=0,
    flag_values=values,
  )
  for name, what in (
    ('losses', 'Which methods. None: all.'),
    ('noises', "Which noises, as in --noises='symmetric 0.4,pair_flip 0.2'."),
  ):
    flags.DEFINE_list(name, None, f'benchmark: {what}', flag_values=values)
  flags.DEFINE_integer(
    'seeds',
    None,
    "benchmark: how many seeds. None: the scale's.",
    lower_bound=1,
    flag_values=values,
  )
  flags.DEFINE_string(
    'recipe',
    None,
    'benchmark: whose settings. None: apl where the data set has it.',
    flag_values=values,
  )
  common_flags.define_run_flags(values)


def main(values: flags.FlagValues, arguments: list[str]) -> int | None:
  """Trains and reports."""
  from experiments.paper import registry  # noqa: PLC0415

  if not arguments or arguments == ['help']:
    print(registry.describe())
    return None
  if len(arguments) > 1:
    raise UserError(f'one experiment at a time, not {" ".join(arguments)}')
  (name,) = arguments
  registry.load(name)
  choice = registry.Choice(
    tuple(values.losses or ()),
    tuple(values.noises or ()),
    values.seeds,
    values.recipe,
  )
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
  runtime.start(values)
  from experiments.paper import run  # noqa: PLC0415

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
