"""Which runs are trained in one program when they are resumed."""

import collections
from collections.abc import Sequence

from sce_jax.runs import progress
from sce_jax.runs.run import TrainingRun


def resumed(unfinished: Sequence[TrainingRun]) -> list[list[TrainingRun]]:
  """Groups runs that are resumed at a step that each of them has saved.

  Runs that have been trained differently far are not trained together: some
  would begin anew.
  """
  steps = [run.checkpoints.steps() for run in unfinished]
  groups = [[unfinished[i] for i in group] for group in by_step(steps)]
  if len(groups) > 1:
    names = [', '.join(run.workdir.path.name for run in x) for x in groups]
    progress.log(
      'these runs have no checkpoints of the same step, so they are trained one'
      f' group after the other: {"; ".join(names)}'
    )
  return groups


def by_step(steps: Sequence[Sequence[int]]) -> list[list[int]]:
  """Groups runs that can be resumed at a step that each of them has saved.

  Args:
    steps: those at which each run has a checkpoint.

  Returns:
    The runs of each group, as indices of `steps`: the largest groups first,
    those without any checkpoint last.
  """
  groups, left = [], list(range(len(steps)))
  while left:
    counts = collections.Counter(step for i in left for step in steps[i])
    group = left
    if counts:
      common = max(counts, key=lambda step: (counts[step], step))
      group = [i for i in left if common in steps[i]]
    groups.append(group)
    left = [i for i in left if i not in group]
  return groups


def program_size(began_with: Sequence[int], num_others: int) -> int:
  """How many runs a program trains.

  As many as when they began, or they would be rounded otherwise: those that are
  missing are replaced by others that have ended.

  Args:
    began_with: with how many runs each of those that are trained began.
    num_others: how many others there are that have ended.
  """
  size = max(began_with)
  num_runs = len(began_with)
  return size if num_runs <= size <= num_runs + num_others else num_runs


def filled(
  group: Sequence[TrainingRun], runs: Sequence[TrainingRun]
) -> list[TrainingRun]:
  """The group, and of the other runs those that fill a place in its program.

  These have ended, or diverged.
  """
  names = group[0].hparams.keys()  # Of one that failed early some are missing.
  others = [
    run
    for run in runs
    if run.result is not None and run.hparams.keys() == names
  ]
  size = program_size([run.workdir.together for run in group], len(others))
  lanes = {*group, *others[: size - len(group)]}
  return [run for run in runs if run in lanes]
