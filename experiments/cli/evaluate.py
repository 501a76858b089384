"""Evaluates a finished or stopped run again, from its last checkpoint.

python launch.py evaluate --workdir=runs/...

Writes evaluation.json and a page with confusions, precision and recall of each
class and calibration into the run's folder.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import flags

from experiments.cli import command_line, common_flags, runtime
from sce_jax.errors import UserError
from sce_jax.runs import progress

IMPORTS = ('sce_jax.runs.restore',)

# The classes of more are on the page only.
_MAX_CLASSES = 20


def define_flags(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags."""
  common_flags.define_workdir(values, 'Folder of the run.')
  common_flags.define_config(values, argv, ' Refuses a run of another config.')
  common_flags.define_run_flags(values)


def opening(values: flags.FlagValues, arguments: list[str]) -> str:
  """Says what will be done."""
  command_line.no_arguments(arguments)
  if values.workdir is None:
    raise UserError('evaluate needs the folder of a run: --workdir=runs/...')
  command_line.refuse_unused(values, ['tracker'], 'nothing is trained')
  return f'Evaluates {values.workdir} again, from its last checkpoint'


def main(values: flags.FlagValues, arguments: list[str]) -> None:
  """Evaluates and prints the figures."""
  from experiments.report import text  # noqa: PLC0415
  from sce_jax.parallel import processes  # noqa: PLC0415
  from sce_jax.runs import dataset_record, files, restore  # noqa: PLC0415

  runtime.start(values)
  with progress.phase('evaluation: data, compiling, both splits'):
    figures = restore.evaluate_run(
      values.workdir, values.data_dir, expected=values.config
    )
  if processes.is_primary():
    print(f'{values.workdir}, epoch {figures["epoch"]}')
    initial = files.read_initial(values.workdir)
    if initial is not None:
      print(f'initial weights: {files.initial_title(initial)}')
    titles = dataset_record.read(values.workdir)[0].class_titles
    for split, name in (
      ('test', 'test'),
      ('validation', 'validation'),
      ('train_eval', 'training'),
    ):
      found = figures.get(split)
      if found is None:
        continue
      if split == 'test' and dataset_record.has_noisy_test(values.workdir):
        name = 'noisy test'
      print(f'\n{name} split, {found["examples"]:,} examples')
      print(text.aligned([['figure', ''], *_rows(found, titles)]))
  if processes.num_processes() > 1:
    progress.log(
      'The page with confusions and calibration is made by one process: the'
      ' same command with --num_processes=1 and no --coordinator'
    )
    return
  from experiments.report import evaluation_page  # noqa: PLC0415

  with progress.phase('predictions and the page'):
    written = evaluation_page.report(values.workdir, figures, values.data_dir)
  print(f'\nreport:   {written.html}')


def _rows(
  found: Mapping[str, Any], titles: Sequence[str]
) -> Iterator[tuple[str, str]]:
  """The figures of a split, those of classes by their names."""
  yield 'loss', f'{found["loss"]:.4f}'
  for key, title in (
    ('accuracy', 'accuracy, true labels'),
    ('accuracy_noisy', 'accuracy, given labels'),
    ('memorised', 'wrong labels memorised'),
  ):
    value = found.get(key)
    # True labels are said once, where they are those given.
    is_said = key == 'accuracy_noisy' and value == found.get('accuracy')
    if value is not None and not is_said:
      yield title, f'{100 * value:.2f} %'
  for title, value in zip(
    titles, found.get('class_accuracy', ()), strict=False
  ):
    if value is not None and len(titles) <= _MAX_CLASSES:
      yield f'class {title}', f'{100 * value:.1f} %'
