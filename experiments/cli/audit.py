"""Ranks training examples by how likely their label is wrong.

python launch.py audit --config=configs/digits.py:sl,symmetric,0.4

Trains a network for each fold, on the examples of the other folds. Leaves
label_issues.csv, transition.json and audit.html: open that one.
"""

import dataclasses
import os
from typing import TYPE_CHECKING

from absl import flags

from experiments.cli import (
  command_line,
  common_flags,
  runtime,
)
from experiments.cli import (
  opening as lines,
)
from sce_jax.errors import UserError

if TYPE_CHECKING:  # The help needs no jax.
  from sce_jax.data.dataset import Dataset
  from sce_jax.label_issues import LabelIssues

IMPORTS = ('experiments.audit.files', 'sce_jax.audit')
_SHOWN = 10


def define_flags(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags."""
  common_flags.define_config(values, argv)
  common_flags.define_workdir(
    values, 'Folder of the audit. None: one in runs/.'
  )
  flags.DEFINE_integer(
    'folds',
    5,
    'So many networks are trained, each of which judges the examples that it'
    ' was not trained on.',
    lower_bound=2,
    flag_values=values,
  )
  common_flags.define_config_change(values)
  common_flags.define_run_flags(values)


def opening(values: flags.FlagValues, arguments: list[str]) -> str:
  """Says what will be done."""
  command_line.no_arguments(arguments)
  if values.config is None:
    raise UserError(
      'audit needs a config: --config=configs/digits.py:sl,symmetric,0.4, say'
    )
  config = values.config
  return (
    f'Trains {values.folds} networks with {config["loss"]["name"]} on'
    f' {lines.describe(config)}, and ranks the labels;'
    f' {lines.duration(config, values.folds, "runs")}'
  )


def main(values: flags.FlagValues, arguments: list[str]) -> None:
  """Audits."""
  from experiments.analysis import pictures, plots  # noqa: PLC0415
  from experiments.audit import files  # noqa: PLC0415
  from sce_jax import audit  # noqa: PLC0415
  from sce_jax.config import check  # noqa: PLC0415
  from sce_jax.data import dataset as dataset_lib  # noqa: PLC0415
  from sce_jax.data import open_set  # noqa: PLC0415
  from sce_jax.parallel import processes  # noqa: PLC0415
  from sce_jax.runs import progress, read  # noqa: PLC0415
  from sce_jax.storage import paths  # noqa: PLC0415

  runtime.start(values)
  config = check.check_config(values.config)
  name = f'audit-{read.run_name(values.config)}-{values.folds}folds'
  folder = paths.path(values.workdir or os.path.join('runs', name))
  with progress.phase(f'data: reads {config.data.name}'):
    dataset = dataset_lib.load_on_all_processes(config.data, values.data_dir)
  check.check_fits(config, dataset.info)
  # The page shows the images that the networks see.
  dataset = open_set.apply(
    dataset, config.data, config.noise, config.seed, values.data_dir
  )
  issues = audit.audit(
    config,
    folder,
    values.data_dir,
    values.folds,
    dataset,
    values.allow_config_change,
  )
  if not processes.is_primary():
    return
  noise = dataclasses.asdict(config.noise)
  parts = [
    plots.label(config.loss.name),
    pictures.noise_title(noise),
    *pictures.changes_of_examples(noise),
    f'{values.folds} folds',
  ]
  title = f'Labels of {dataset.info.name}: {", ".join(filter(None, parts))}'
  page = files.write(folder, issues, dataset, title)
  print(summary(issues, dataset))
  print(f'\nissues:   {folder / "label_issues.csv"}\npage:     {page}')


def summary(issues: 'LabelIssues', dataset: 'Dataset') -> str:
  """What is printed: estimates, the most suspicious, pairs, duplicates."""
  from experiments.audit import page  # noqa: PLC0415
  from experiments.report import text  # noqa: PLC0415
  from sce_jax import label_issues  # noqa: PLC0415
  from sce_jax.noise import consensus, near_duplicates  # noqa: PLC0415

  names = page.example_names(issues, dataset)
  classes = dataset.info.class_titles
  low, high = issues.rate_interval
  lines = [
    f'{len(issues.label):,} labels; estimated share of wrong ones:'
    f' {100 * issues.rate:.1f} %',
    f'(95 % interval {100 * low:.1f} to {100 * high:.1f} %);'
    f' {int(issues.is_issue.sum()):,} to look at',
    '',
    'The most suspicious labels, and how probable the network finds them',
  ]
  rows = [['example_id', 'given', 'suggested', 'of given', 'of suggested']]
  for row in issues.ranking[:_SHOWN]:
    given, likely = issues.label[row], issues.suggested[row]
    probability = issues.probability[row]
    rows.append(
      [
        names[row],
        classes[given],
        classes[likely],
        f'{100 * probability[given]:.2f} %',
        f'{100 * probability[likely]:.2f} %',
      ]
    )
  lines += [text.aligned(rows), '', 'The most confused classes']
  pairs = [
    [classes[given], classes[likely], str(count)]
    for given, likely, count in issues.confused[:_SHOWN]
  ]
  lines.append(text.aligned([['labelled', 'seems to be', 'examples'], *pairs]))
  if issues.duplicates is None:
    lines += ['', 'Near duplicates: not looked for among so many examples']
  else:
    lines += [
      '',
      f'Near duplicates with different labels: {len(issues.duplicates)}',
    ]
    lines += [
      f'  {names[a]} ({classes[issues.label[a]]}),'
      f' {names[b]} ({classes[issues.label[b]]})'
      for a, b in issues.duplicates[:_SHOWN]
    ]
  if 'hoc' not in issues.transitions:
    lines += [
      '',
      'The transition matrix was not estimated by hoc, which takes 3 to'
      f' {near_duplicates.MOST_COMPARED:,} examples of at most'
      f' {consensus.MOST_CLASSES} classes',
    ]
  errors = issues.transition_errors
  if errors:
    lines += [
      '',
      'Estimates of the label noise (transition matrix): how far each row is'
      ' from',
      "the true class's own (total variation, 0 to 1), mean and each class",
    ]
    table = [['estimator', 'mean', *classes]]
    table += [
      [name, *(f'{x:.3f}' for x in (rows.mean(), *rows))]
      for name, rows in errors.items()
    ]
    lines.append(text.aligned(table))
  if issues.clusterability is not None:
    lines += [
      '',
      'Examples with the true label of both their nearest neighbours, which hoc'
      f' takes for all: {100 * issues.clusterability:.1f} %',
    ]
  found = label_issues.detection(issues)
  if found is not None:
    lines += ['', 'Against the true labels']
    for name, value in found.items():
      if isinstance(value, int):
        shown = f'{value:,}'
      elif name.startswith(('precision', 'recall')):
        shown = f'{100 * value:.1f} %'
      else:
        shown = f'{value:.4f}'
      lines.append(f'  {name:30} {shown}')
  return '\n'.join(lines)
