"""The paper's settings against later papers': which part makes the difference.

For SL under symmetric noise of 0.6 on CIFAR-10, 59.14 is published with the
settings that later papers follow (Active Passive Loss, ICML 2020); the paper's
own figure, recalled and not verified, is about 80. Here each part of
recipe=paper is replaced by that of recipe=apl, alone, and at --scale=full the
other way round as well.
"""

from collections.abc import Iterator, Mapping, Sequence
import fnmatch
from typing import Any

from experiments.analysis import statistics
from experiments.paper import methods, published, scales
from experiments.paper.registry import Context, RunSpec
from experiments.report.page import Block, Cell, Heading, Table
from sce_jax.config import fields
from sce_jax.errors import UserError
from sce_jax.runs import read
from sce_jax.runs.read import Run

NOISE = 'symmetric 0.6'
# At --scale=full both recipes stand side by side under all of these.
NOISES = (
  'symmetric 0.2',
  'symmetric 0.4',
  'symmetric 0.6',
  'symmetric 0.8',
  'asymmetric 0.4',
)
# By name: the fields that belong together.
PARTS = {
  'L2 of fc1': ('optim.l2*',),
  'weight decay': ('optim.weight_decay*',),
  'schedule': (
    'optim.schedule',
    'optim.learning_rate',
    'optim.final_learning_rate',
    'optim.boundaries',
  ),
  'time decay': ('optim.time_decay',),
  'Nesterov momentum': ('optim.nesterov',),
  'clipping': ('optim.clip_norm',),
  'augmentation': ('data.augment.*',),
  'normalization': ('data.normalization',),
  'batch-norm constants': ('model.batch_norm_*',),
  'initialisers': ('model.initializer',),
}


def sweep(dataset: str, scale: str) -> list[RunSpec]:
  """Both recipes, and each with one part of the other."""
  trials = [
    trial
    for method in ('CE', 'SL')
    for base, name, changes in _variants(dataset, scale)
    for trial in _trials(dataset, scale, method, NOISE, base, name, changes)
  ]
  if scale == 'full':
    trials += [
      trial
      for recipe in ('paper', 'apl')
      for method in ('CE', 'GCE', 'SL')
      for noise in NOISES
      if noise != NOISE or method == 'GCE'  # The others already exist.
      for trial in _trials(dataset, scale, method, noise, recipe, '', {})
    ]
  return trials


def parts(dataset: str, scale: str) -> dict[str, dict[str, dict[str, Any]]]:
  """What the recipes differ in: by part, the fields' values in each recipe."""
  values = {
    recipe: fields.flatten(scales.config(dataset, scale, recipe=recipe))
    for recipe in ('paper', 'apl')
  }
  differing = {
    path
    for path, value in values['paper'].items()
    if value != values['apl'][path]
  }
  found = {}
  for part, patterns in PARTS.items():
    paths = sorted(
      path
      for path in differing
      if any(fnmatch.fnmatch(path, pattern) for pattern in patterns)
    )
    differing -= set(paths)
    if paths:
      found[part] = {
        recipe: {path: values[recipe][path] for path in paths}
        for recipe in values
      }
  if differing:
    raise UserError(
      f'experiment recipe takes recipe=paper and recipe=apl apart, but on'
      f' {dataset} they differ in {", ".join(sorted(differing))} too: use'
      ' --dataset=mnist or cifar10'
    )
  return found


def _variants(
  dataset: str, scale: str
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
  directions = [('paper', 'apl')]
  if scale == 'full':
    directions.append(('apl', 'paper'))
  yield 'paper', '', {}
  yield 'apl', '', {}
  for base, other in directions:
    for part, values in parts(dataset, scale).items():
      yield base, part, values[other]


def _trials(dataset, scale, method, noise, base, part, changes):
  for seed in methods.seeds(dataset, scale):
    made = methods.trial(
      dataset, scale, method, noise, seed, recipe=base, changes=changes
    )
    yield RunSpec(
      {**made.labels, 'recipe': base, 'part': part or '-'}, made.config
    )


def report(context: Context, runs: Sequence[Run]) -> list[Block]:
  """What each part changes, and what the recipes differ in."""
  groups = {
    key: read.finished(group)
    for key, group in read.group(
      runs, 'recipe', 'part', 'method', 'noise'
    ).items()
  }
  blocks: list[Block] = [Heading('One part at a time')]
  for base in dict.fromkeys(key[0] for key in groups if key[1] != '-'):
    blocks.append(_table(base, groups))
  blocks += [Heading('The recipes'), _parts(context)]
  if context.scale == 'full':
    blocks += [Heading('Both recipes'), _both(context, groups)]
  return blocks


def _accuracy(group: Sequence[Run]) -> dict[int, float]:
  return {
    r.config['seed']: r.result['test_accuracy'] for r in group if r.result
  }


def _table(base: str, groups) -> Table:
  other = {'paper': 'apl', 'apl': 'paper'}[base]
  rows = []
  names = [f'recipe={base}']
  keys = [(base, '-')]
  for recipe, part, _, _ in groups:
    if recipe == base and part != '-' and (base, part) not in keys:
      keys.append((base, part))
      names.append(f'with {part} of {other}')
  keys.append((other, '-'))
  names.append(f'recipe={other}')
  for name, key in zip(names, keys, strict=True):
    row: list[Cell | str] = [name]
    for method in ('CE', 'SL'):
      ours = _accuracy(groups.get((*key, method, NOISE), []))
      start = _accuracy(groups.get((base, '-', method, NOISE), []))
      row.append(statistics.format_mean_std(list(ours.values())))
      common = sorted(ours.keys() & start.keys())
      row.append(
        _difference([ours[seed] - start[seed] for seed in common])
        if key != (base, '-')
        else Cell('-')
      )
    rows.append(row)
  return Table(
    f'parts-of-{base}',
    f'{NOISE}, last epoch, test accuracy in per cent: recipe={base} with one'
    f' part of recipe={other}, and what that changes',
    ['', 'CE', 'CE, change', 'SL', 'SL, change'],
    rows,
    'Change: of each seed, mean ± standard deviation over seeds, in points.',
  )


def _difference(values: Sequence[float]) -> Cell:
  made = statistics.format_mean_std(values)
  sign = '+' if (made.value or 0) > 0 else ''
  return Cell(sign + made.text, made.value)


def _parts(context: Context) -> Table:
  rows = [
    [
      part,
      *(
        ', '.join(
          f'{path.rpartition(".")[2]} {value}'
          for path, value in values[recipe].items()
        )
        for recipe in ('paper', 'apl')
      ),
    ]
    for part, values in parts(context.dataset, context.scale).items()
  ]
  return Table(
    'recipes',
    f'What the two recipes for {context.dataset} differ in',
    ['part', 'recipe=paper', 'recipe=apl'],
    rows,
  )


def _both(context: Context, groups) -> Table:
  rows = []
  for recipe in ('paper', 'apl'):
    for method in ('CE', 'GCE', 'SL'):
      row: list[Cell | str] = [recipe, method]
      for noise in NOISES:
        values = _accuracy(groups.get((recipe, '-', method, noise), []))
        row.append(statistics.format_mean_std(list(values.values())))
        found = published.lookup(context.dataset, method, noise, recipe)
        row.append(
          Cell('-')
          if found is None
          else Cell(
            f'{found.accuracy:.2f} ({found.mark})',
            found.accuracy,
            note=found.source,
          )
        )
      rows.append(row)
  columns = [c for noise in NOISES for c in (noise, 'published')]
  return Table(
    'both',
    'Test accuracy of the last epoch, per cent, beside published figures',
    ['recipe', 'method', *columns],
    rows,
    "recalled: found in no source, not to be quoted as the paper's.",
  )
