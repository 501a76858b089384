"""Evaluates a finished or stopped run again, from its last checkpoint.

python launch.py evaluate --workdir=runs/...
"""

from absl import flags

from experiments.cli import command_line, common_flags, runtime
from sce_jax.errors import UserError


def define_flags(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags."""
  common_flags.define_workdir(values, 'Folder of the run.')
  common_flags.define_config(values, argv, ' Refuses a run of another config.')
  common_flags.define_run_flags(values)


def main(values: flags.FlagValues, arguments: list[str]) -> None:
  """Evaluates and prints the figures."""
  from sce_jax.parallel import processes  # noqa: PLC0415
  from sce_jax.runs import files, restore  # noqa: PLC0415

  command_line.no_arguments(arguments)
  if values.workdir is None:
    raise UserError('evaluate needs the folder of a run: --workdir=runs/...')
  runtime.start(values)
  figures = restore.evaluate_run(
    values.workdir, values.data_dir, expected=values.config
  )
  if not processes.is_primary():
    return
  print(f'{values.workdir}, epoch {figures["epoch"]} (step {figures["step"]})')
  initial = files.read_initial(values.workdir)
  if initial is not None:
    print(f'initial weights: {files.initial_title(initial)}')
  for split, name in (
    ('test', 'test'),
    ('validation', 'validation'),
    ('train_eval', 'training'),
  ):
    found = figures.get(split)
    if found is None:
      continue
    if split == 'test' and files.has_noisy_test(values.workdir):
      name = 'noisy test'
    print(f'{name} split, {found["examples"]} examples')
    for key in ('loss', 'accuracy', 'accuracy_noisy', 'memorised'):
      if found.get(key) is not None:
        print(f'  {key:16}{found[key]:.4f}')
    classes = '  '.join(
      f'{x:.3f}' for x in found.get('class_accuracy', ()) if x is not None
    )
    if classes:
      print(f'  {"class_accuracy":16}{classes}')
