"""Every loss: formula, range, when it is noise-tolerant, how hard it pulls.

Then what is made of them, as published: sums, wrappers, losses that change in
training. All of it is read from the table of methods and from the losses
themselves. The cost is that of experiments/results/loss_cost.json, if there is
one; this makes it:

python -m experiments.benchmarks loss --classes=10 --losses=ce,nce,...
  --json=experiments/results/loss_cost.json
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import importlib
import json
import pathlib
import types
from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Drawing
import numpy as np

from experiments.analysis import pictures, style
from experiments.report import page

if TYPE_CHECKING:
  from experiments.paper import registry

# Hyper-parameters by method.
Settings = Mapping[str, Mapping[str, Any]]
K = 10
COST = pathlib.Path(__file__).parents[1] / 'results' / 'loss_cost.json'
# Probabilities of the label: 1 / n, 2 / n, .. (n - 1) / n.
_POINTS, _FEW_POINTS = 500, 20
# What has no default, for the curves: the settings for CIFAR-10; one of those
# that the paper of NLS searched, which does not say what it chose.
_NEEDED = {'sl': {'alpha': 0.1, 'beta': 1.0}, 'nls': {'smoothing': -1.0}}
# Settings of what is made of losses are shown for these data sets.
_DATASETS = {'mnist': 'MNIST', 'cifar10': 'CIFAR-10', 'cifar100': 'CIFAR-100'}
_NOISE = ('symmetric', 0.4)
_EPOCHS = 120
_LAST = ', last epoch'
_CURVES = (
  'Left: the loss against the probability p_y of its label, less its value'
  ' near p_y = 1 and over what is left at 1 / K, where an untrained network is.'
  ' Right: its weight beside that of cross entropy, which is 1. By jax.grad.'
)


def sweep(dataset: str, scale: str) -> list:
  """No runs: losses of single examples."""
  del dataset, scale
  return []


def report(context: registry.Context, runs: Any) -> list[page.Block]:
  """The losses by the module that they are in.

  Args:
    context: its scale says at how many probabilities they are drawn.
    runs: none.

  Returns:
    The page's blocks.
  """
  # Sweeps are planned without jax, by importing this module.
  from sce_jax import methods  # noqa: PLC0415

  del runs
  cost = costs()
  groups: dict[str, dict[str, Any]] = {}
  for name, spec in methods.SPECS.items():
    if spec.loss is not None:
      groups.setdefault(spec.loss.__module__, {})[name] = spec
  blocks: list[page.Block] = [
    page.Text(
      'The loss of an example of class y. The weight of a loss is its slope in'
      " the label's logit over that of cross entropy, p_y - 1: how hard it"
      ' pulls at an example, by how far the label is believed. In pictures the'
      f' other {K - 1} classes share what the label leaves equally, their'
      ' logits are 0, and hyper-parameters have their defaults (SL: those for'
      ' CIFAR-10). "Tuned per rate": whether the published settings differ from'
      ' noise rate to noise rate, which a user of real data does not know; ?:'
      ' not known. "Noise-tolerant": noise of that kind does not change which'
      ' classifier minimises the expected loss.' + _measured(COST)
    ),
    _names(methods.FORMULA_NAMES),
  ]
  for module, specs in groups.items():
    title = (importlib.import_module(module).__doc__ or '').partition('\n')[0]
    group = module.rpartition('.')[2]
    blocks += [page.Heading(title.rstrip('.')), _table(group, specs, cost)]
    curves = {
      name: spec
      for name, spec in specs.items()
      if 'transition_matrix' not in spec.hparams
    }
    if curves:
      drawn = {
        curves[name].short: curve
        for name, curve in measure(curves, context.scale).items()
      }
      blocks.append(page.Figure(f'curves-{group}', _CURVES, _draw(drawn)))
  return blocks + _made(context.scale)


def _made(scale: str) -> list[page.Block]:
  """What is made of the losses and needs nothing but an example's logits."""
  from sce_jax import methods  # noqa: PLC0415
  from sce_jax.config import published  # noqa: PLC0415

  settings = {x: published.presets(x, *_NOISE) for x in _DATASETS}
  own = settings['cifar10']
  specs = {
    name: spec
    for name, spec in methods.SPECS.items()
    if spec.loss is None and _is_stateless(name, own)
  }
  first = measure(specs, scale, own)
  last = measure(specs, scale, own, epoch=_EPOCHS - 1)
  whole = measure(specs, scale, own, epoch=_EPOCHS - 1, together=True)

  def same(one, other):
    return np.allclose(one[1], other[1], rtol=1e-4, atol=1e-5)

  figures: dict[str, dict[str, Sequence[np.ndarray]]] = {}
  for name, spec in specs.items():
    # A partner in the batch, or the mean of its predictions, has no curve; of
    # logits that are normalised only their direction is left.
    if not same(last[name], whole[name]) or 'normalize' in spec.hparams:
      continue
    kind = 'sums' if spec.positive else 'others'
    figure = figures.setdefault('l1' if 'l1' in spec.hparams else kind, {})
    figure[spec.short] = first[name]
    if not same(first[name], last[name]):
      figure[f'{spec.short}{_LAST}'] = last[name]
  return [
    page.Heading('Made of these, as published'),
    page.Text(
      'Sums, wrappers, and losses that change in training, but for methods with'
      ' a state, several networks or two views. Without a curve: what depends'
      ' on others of the batch, and what normalises the logits. Where they are'
      ' clipped, p_y is that before.'
    ),
    page.Table(
      'made',
      'Sums, wrappers, and losses that change',
      ['config', 'name', 'method', 'noise-tolerant', 'tuned per rate', 'paper'],
      [
        [
          name,
          spec.short,
          spec.title,
          spec.tolerant or '-',
          _tuned(spec),
          _paper(spec.paper),
        ]
        for name, spec in specs.items()
      ],
    ),
    *(
      page.Figure(
        f'curves-{key}',
        f'{_CURVES} Settings for CIFAR-10 (NLS: smoothing -1), in the first'
        f' epoch, and in the last of {_EPOCHS} where the loss has changed;'
        ' penalties on parameters are left out.',
        _draw(curves),
      )
      for key, curves in figures.items()
    ),
    page.Heading('Settings by data set'),
    page.Text(
      'The values of sce_jax/config/published.py, which names the source of'
      f' each; under {_NOISE[0]} {_NOISE[1]} where they differ by noise. Where'
      ' a paper says nothing of a data set they are those for CIFAR-10. What is'
      ' not here has its defaults.'
    ),
    page.Table(
      'settings',
      'Settings by data set',
      ['config', *_DATASETS.values()],
      [
        [name, *(_settings(x.get(name, {})) for x in settings.values())]
        for name in methods.SPECS
        if any(name in x for x in settings.values())
      ],
    ),
  ]


def _values(name: str, settings: Settings) -> dict[str, Any]:
  from sce_jax import methods  # noqa: PLC0415

  given = {**settings.get(name, {}), **_NEEDED.get(name, {})}
  return methods.complete(name, given)


def _is_stateless(name: str, settings: Settings) -> bool:
  from sce_jax import methods  # noqa: PLC0415
  from sce_jax.methods import base  # noqa: PLC0415

  method = methods.build(name, _values(name, settings))
  return (
    method.init is base.no_state
    and method.num_networks == 1
    and not method.two_views
    and method.prepare is None
  )


def _settings(values: Mapping[str, Any]) -> str:
  return (
    ', '.join(
      f'{k} {v:.6g}' if isinstance(v, float) else f'{k} {v}'
      for k, v in values.items()
    )
    or '-'
  )


def costs(file: pathlib.Path = COST) -> dict[str, float]:
  """The time of losses over that of optax's cross entropy, by name.

  Args:
    file: written by `python -m experiments.benchmarks loss --json=`; that of
      the fewest classes counts. If it is missing, nothing is known.
  """
  if not file.exists():
    return {}
  rows = json.loads(file.read_text())['rows']
  fewest = min(row['K'] for row in rows)
  return {
    row['loss']: value
    for row in rows
    for key, value in row.items()
    if row['K'] == fewest and key.startswith('over ')
  }


def _measured(file: pathlib.Path) -> str:
  """How the costs were measured, a sentence; '' if there are none."""
  if not file.exists():
    return ''
  record = json.loads(file.read_text())
  machine, fewest = record['machine'], min(r['K'] for r in record['rows'])
  return (
    f" Time over that of optax's cross entropy, with {fewest} classes: measured"
    f' on {machine["device"]}, {machine["date"]}, jax {machine["jax"]}; -: not'
    ' measured.'
  )


def measure(
  names: Iterable[str],
  scale: str,
  settings: Settings = types.MappingProxyType({}),
  epoch: int = 0,
  together: bool = False,
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
  """Losses and weights against the probability of the label.

  Args:
    names: of methods whose loss needs the logits alone.
    scale: one of scales.SCALES: at how many probabilities.
    settings: hyper-parameters by name, in place of the defaults.
    epoch: how many of 120 epochs are done.
    together: whether all probabilities are those of one batch, which matters
      where a loss is more than that of one example.

  Returns:
    Probabilities, losses and weights of each, `[P]`.
  """
  import jax  # noqa: PLC0415
  import jax.numpy as jnp  # noqa: PLC0415

  from sce_jax import methods  # noqa: PLC0415
  from sce_jax.data.batches import Batch  # noqa: PLC0415

  count = _FEW_POINTS if scale == 'tiny' else _POINTS
  p = np.arange(1, count) / count
  own = np.log(p * (K - 1) / (1 - p))
  logits = jnp.asarray(np.outer(own, np.eye(K)[0]), jnp.float32)

  def same(x):
    return x

  context = methods.Context(
    key=jax.random.key(0),
    step=jnp.int32(0),
    epoch=jnp.int32(epoch),
    num_epochs=_EPOCHS,
    num_examples=p.size,
    training=True,
    psum=same,
    gather=same,
    shard=same,
  )

  def losses(name):
    values = _values(name, settings)
    method = methods.build(name, values)
    hyper = methods.of_kind(name, values, 'traced')

    def of_batch(logits):
      labels = jnp.zeros(len(logits), jnp.int32)
      batch = Batch(logits, labels, None, jnp.arange(len(logits)))
      # A network whose logits are its input.
      return method.loss(lambda _, z: (z, {}), {}, batch, (), hyper, context)[0]

    def of_one(z):
      return of_batch(z[None])[0]

    if together:
      gradient = jax.grad(lambda z: jnp.sum(of_batch(z)))(logits)
      return of_batch(logits), gradient
    return jax.vmap(jax.value_and_grad(of_one))(logits)

  found = jax.jit(lambda: {name: losses(name) for name in names})()
  return {
    name: (
      p,
      np.asarray(value, np.float64),
      np.asarray(gradient, np.float64)[:, 0] / (p - 1),
    )
    for name, (value, gradient) in found.items()
  }


def _names(names: Mapping[str, str]) -> page.Table:
  return page.Table(
    'names',
    'Names in the formulas',
    ['name', 'what it is'],
    [[name, text] for name, text in names.items()],
  )


def _table(
  group: str, specs: Mapping[str, Any], cost: Mapping[str, float]
) -> page.Table:
  columns = [
    'config',
    'loss',
    'formula',
    'lowest',
    'highest',
    'noise-tolerant',
    'hyper-parameters (defaults)',
    'tuned per rate',
    'paper',
  ]
  rows: list[list[page.Cell | str]] = [
    [
      name,
      spec.title,
      spec.formula,
      *spec.bound,
      spec.tolerant or '-',
      ', '.join(
        key if h.default is None else f'{key} ({h.default})'
        for key, h in spec.hparams.items()
        if h.kind != 'computed'
      ),
      _tuned(spec),
      _paper(spec.paper),
    ]
    for name, spec in specs.items()
  ]
  if cost:
    columns.append('time over optax CE')
    for name, row in zip(specs, rows, strict=True):
      row.append(page.number(cost.get(name), '.2f'))
  return page.Table(
    f'losses-{group}', f'sce_jax/losses/{group}.py', columns, rows
  )


def _tuned(spec: Any) -> str:
  if spec.tuned_per_kind:
    return 'per kind of noise'
  return {True: 'yes', False: 'no', None: '?'}[spec.tuned_per_rate]


def _paper(paper: str) -> page.Cell:
  is_arxiv = paper[:1].isdigit()
  return page.Cell(
    paper, link=f'https://arxiv.org/abs/{paper}' if is_arxiv else ''
  )


def _draw(curves: Mapping[str, Sequence[np.ndarray]]) -> Drawing:
  figure, axes = plt.subplots(1, 2, figsize=(11, 4.8), layout='constrained')
  for number, (name, (p, value, weight)) in enumerate(curves.items()):
    look = style.method(name) | {
      'label': name,
      'markersize': 5,
      'markevery': (0.03 * (number + 1), 0.21),
      'alpha': 0.5 if name.endswith(_LAST) else 1,
    }
    drop = value - value[-1]
    axes[0].plot(p, drop / np.interp(1 / K, p, drop), **look)
    axes[1].plot(p, weight, **look)
  axes[0].set(ylabel='loss, 1 at p_y = 1 / K')
  # Weights differ by orders of magnitude; 0 has no place on the axis.
  axes[1].set(ylabel='weight beside cross entropy', yscale='log')
  low, high = axes[1].get_ylim()
  axes[1].set_ylim(max(low, 1e-4), min(high, 1e4))
  axes[1].axhline(1, color='black', linewidth=0.8, linestyle=(0, (2, 3)))
  for ax in axes:
    ax.set(xlabel='probability of the label, p_y', xlim=(0, 1))
    ax.grid(alpha=0.3)
  pictures.add_legend(figure)
  pictures.add_title(
    figure, f'losses of one example of {K} classes; no data, no noise, no seed'
  )
  return figure
