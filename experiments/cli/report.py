"""Writes a page of tables and figures on a folder of runs.

python launch.py report --workdir=runs
"""

from absl import flags

from experiments.cli import command_line, common_flags


def define_flags(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags."""
  common_flags.define_workdir(values, 'Folder of runs. None: runs/.')
  flags.DEFINE_string(
    'dataset',
    None,
    'The only data set shown, by name. None: any.',
    flag_values=values,
  )


IMPORTS = ('experiments.report.runs_page',)


def opening(values: flags.FlagValues, arguments: list[str]) -> str:
  """Says what will be done."""
  command_line.no_arguments(arguments)
  return f'Reads the runs in {values.workdir or "runs"} and writes a page'


def main(values: flags.FlagValues, arguments: list[str]) -> None:
  """Writes the page."""
  from experiments.report import runs_page  # noqa: PLC0415

  del arguments
  runs_page.report(values.workdir or 'runs', values.dataset)
