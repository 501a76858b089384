"""Flags that several commands have."""

from typing import TYPE_CHECKING, Any

from absl import flags
from ml_collections import config_flags
from ml_collections.config_flags import tuple_parser

if TYPE_CHECKING:  # Flags are defined without it.
  from experiments.paper import registry


def define_config(
  values: flags.FlagValues, argv: list[str], none: str = ''
) -> None:
  """Defines --config and those of its fields that the command line changes."""
  _allow_none()
  config_flags.DEFINE_config_file(
    'config',
    None,
    'configs/DATASET.py:LOSS,NOISE,RATE and any of recipe=, seed=, tiny; any'
    ' field follows as --config.optim.learning_rate=0.1. All fields:'
    f' sce_jax/config/base.py.{none}',
    flag_values=values,
    sys_argv=argv,
    # What a config need not name, such as a loss's hyper-parameters, can be
    # given all the same; unknown names are refused when it is checked.
    lock_config=False,
    accept_new_attributes=True,
  )
  flags.DEFINE_string(
    'config_file',
    None,
    "In place of --config: a run's folder or its config.json, or what"
    ' --print_config printed.',
    flag_values=values,
  )
  flags.DEFINE_bool(
    'print_config',
    False,
    'Print the config with all its fields, and do nothing.',
    flag_values=values,
  )


def define_workdir(values: flags.FlagValues, text: str) -> None:
  """Defines --workdir."""
  flags.DEFINE_string('workdir', None, text, flag_values=values)


def define_scale(values: flags.FlagValues) -> None:
  """Defines --scale."""
  flags.DEFINE_string(
    'scale',
    'short',
    "full (the paper's protocol), quarter (of its epochs), short (hours on a"
    ' CPU at most) or tiny (seconds, shows nothing).',
    flag_values=values,
  )


def define_choice(values: flags.FlagValues) -> None:
  """Defines the flags of experiments whose user chooses some of the runs."""
  for name, what in (
    ('losses', 'Which methods. None: all; tune: one.'),
    ('noises', "Which noises, as in --noises='symmetric 0.4,pair_flip 0.2'."),
  ):
    flags.DEFINE_list(
      name, None, f'benchmark, tune: {what}', flag_values=values
    )
  flags.DEFINE_integer(
    'seeds',
    None,
    "benchmark, tune: how many seeds. None: the scale's.",
    lower_bound=1,
    flag_values=values,
  )
  flags.DEFINE_string(
    'recipe',
    None,
    'benchmark, tune: whose settings. None: apl where the data set has it;'
    " tune: the data set's default.",
    flag_values=values,
  )


def choice(values: flags.FlagValues) -> 'registry.Choice':
  """Which of an experiment's runs the flags choose."""
  from experiments.paper import registry  # noqa: PLC0415

  return registry.Choice(
    tuple(values.losses or ()),
    tuple(values.noises or ()),
    values.seeds,
    values.recipe,
  )


def define_data_dir(values: flags.FlagValues) -> None:
  """Defines --data_dir."""
  flags.DEFINE_string(
    'data_dir',
    None,
    "Folder of prepared tfds data. None: $TFDS_DATA_DIR, or tfds's default.",
    flag_values=values,
  )


def define_tracker(values: flags.FlagValues) -> None:
  """Defines --tracker."""
  flags.DEFINE_list(
    'tracker',
    [],
    'wandb: Weights & Biases, beside TensorBoard.',
    flag_values=values,
  )


def define_config_change(values: flags.FlagValues) -> None:
  """Defines the flag by which runs are continued with other settings."""
  flags.DEFINE_list(
    'allow_config_change',
    [],
    'Fields, such as train.epochs, in which the config may differ from that of'
    ' the runs in --workdir, which are then continued; code: the code may.',
    flag_values=values,
  )


def define_run_flags(values: flags.FlagValues) -> None:
  """Defines the flags of all commands that use devices."""
  define_data_dir(values)
  define_tracker(values)
  flags.DEFINE_string(
    'coordinator',
    None,
    'Several processes as one: HOST:PORT of process 0, any free port. Found'
    ' automatically in a Slurm step and on a Cloud TPU slice.',
    flag_values=values,
  )
  flags.DEFINE_integer(
    'num_processes',
    None,
    'How many processes there are, usually one per host. 1: only this one,'
    ' also on Slurm and Cloud TPU.',
    lower_bound=1,
    flag_values=values,
  )
  flags.DEFINE_integer(
    'process_id',
    None,
    'Which of them this is, from 0 on; 0 writes the folder of the run.',
    lower_bound=0,
    flag_values=values,
  )
  flags.DEFINE_integer(
    'heartbeat',
    100,
    'Of several processes: seconds without a sign of life after which one is'
    ' lost, and the others end.',
    lower_bound=5,
    flag_values=values,
  )


def _allow_none() -> None:
  """Lets the flags of all fields be None.

  Fields that may be None are typed by what else they are, and ml_collections
  parses their flags by type. Whether a field may be None is checked with the
  config.
  """
  for kind, parser in (
    (int, flags.IntegerParser()),
    (float, flags.FloatParser()),
    (str, flags.ArgumentParser()),
  ):
    config_flags.register_flag_parser_for_type(kind, _OrNone(parser))
  config_flags.register_flag_parser_for_type(tuple, _TupleOrNone())


class _OrNone(flags.ArgumentParser):
  """Parses a flag of a field as another parser does, and None or none."""

  def __init__(self, parser: flags.ArgumentParser):
    self._parser = parser
    self.syntactic_help = parser.syntactic_help

  def parse(self, argument: Any) -> Any:
    return None if _is_none(argument) else self._parser.parse(argument)

  def flag_type(self) -> str:
    return self._parser.flag_type()


class _TupleOrNone(tuple_parser.TupleParser):
  """Parses a flag of a list; None and none become (None,): it must be one."""

  def parse(self, argument: Any) -> tuple[Any, ...]:
    if isinstance(argument, list) and len(argument) == 1:
      (argument,) = argument
    return (None,) if _is_none(argument) else super().parse(argument)


def _is_none(argument: Any) -> bool:
  return isinstance(argument, str) and argument in ('None', 'none')
