"""All that is known of each method, a row each.

Config checks, tables of results and the table in README.md beside this file
follow it. To add a loss, write its function and one row.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import inspect
from typing import Any

from jaxtyping import Array, Float

from sce_jax import losses
from sce_jax.errors import UserError
from sce_jax.methods import hparams as hp
from sce_jax.methods.base import Method, from_loss
from sce_jax.methods.co_teaching import co_teaching
from sce_jax.methods.d2l import d2l
from sce_jax.methods.elr import elr
from sce_jax.methods.forward import TRANSITIONS, corrected
from sce_jax.methods.hparams import Hparam, number, one_of, whole

Loss = Callable[..., Float[Array, '']]


@dataclasses.dataclass(frozen=True)
class Spec:
  """What is known of a method.

  Attributes:
    make: the method, from its static hyper-parameters.
    title: its name in a sentence.
    short: its name in tables and pictures.
    hparams: its hyper-parameters by name.
    tolerant: when it is noise-tolerant in theory; '' if it is not known to be.
    paper: the arXiv identifier, or where there is none the reference.
    loss: the loss of one example that it is made of, if it is only that.
    told_rate: whether a hyper-parameter is the noise rate, which a user of real
      data does not know.
    positive: hyper-parameters of which one at least must be above 0.
  """

  make: Callable[..., Method]
  title: str
  short: str
  hparams: Mapping[str, Hparam]
  tolerant: str = ''
  paper: str = ''
  loss: Loss | None = None
  told_rate: bool = False
  positive: tuple[str, ...] = ()


def loss_spec(
  loss: Loss,
  title: str,
  short: str,
  *,
  rules: Mapping[str, hp.Rule] | None = None,
  static: Sequence[str] = (),
  **facts: Any,
) -> Spec:
  """The row of a loss of one example.

  Args:
    loss: its keyword-only arguments are its hyper-parameters, which have their
      defaults from there.
    title: its name in a sentence.
    short: its name in tables and pictures.
    rules: which values a hyper-parameter may have; any number where none is
      given.
    static: the hyper-parameters that are compiled in, such as a number of
      terms; runs that differ in one do not share a program.
    **facts: further fields of Spec.

  Raises:
    ValueError: `rules` or `static` name what is no argument of the loss.
  """
  rules = rules or {}
  names = inspect.signature(loss).parameters
  strange = {*rules, *static} - set(names)
  if strange:
    raise ValueError(f'{title} has no hyper-parameter {sorted(strange)}')
  hparams = {
    name: Hparam(
      None if parameter.default is parameter.empty else parameter.default,
      rules.get(name, number()),
      'static' if name in static else 'traced',
    )
    for name, parameter in inspect.signature(loss).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
  }

  def make(**constants):
    return from_loss(functools.partial(loss, **constants))

  return Spec(make, title, short, hparams, loss=loss, **facts)


def _corrected(loss: Loss, title: str, short: str, rule: hp.Rule) -> Spec:
  return Spec(
    lambda: corrected(loss),
    title,
    short,
    {
      'transition': Hparam('true', one_of(*TRANSITIONS), 'host'),
      'percentile': Hparam(
        97.0, number(lambda x: 0 <= x <= 100, 'from 0 to 100'), 'host'
      ),
      'transition_matrix': Hparam(None, rule, 'computed'),
    },
    tolerant='under class-conditional noise with that matrix',
    paper='1609.03683',
    loss=loss,
  )


_NOT_NEGATIVE = number(lambda x: x >= 0, 'of at least 0')
_LOG_ZERO = number(lambda x: x < 0, 'below 0 (it stands for log 0)')
_WEIGHT = number(lambda x: 0 <= x <= 1, 'from 0 to 1')

SPECS: dict[str, Spec] = {
  'ce': loss_spec(losses.cross_entropy, 'cross entropy', 'CE'),
  'rce': loss_spec(
    losses.reverse_cross_entropy,
    'reverse cross entropy',
    'RCE',
    rules={'log_zero': _LOG_ZERO},
    tolerant='symmetric noise below 1 - 1/K: it is MAE times a constant',
    paper='1908.06112',
  ),
  'sl': loss_spec(
    losses.symmetric_cross_entropy,
    'symmetric learning',
    'SL',
    rules={
      'alpha': _NOT_NEGATIVE,
      'beta': _NOT_NEGATIVE,
      'log_zero': _LOG_ZERO,
    },
    tolerant='its RCE part is; the whole only as alpha goes to 0',
    paper='1908.06112',
    positive=('alpha', 'beta'),
  ),
  'mae': loss_spec(
    losses.mean_absolute_error,
    'mean absolute error',
    'MAE',
    tolerant='symmetric noise below 1 - 1/K',
    paper='1712.09482',
  ),
  'lsr': loss_spec(
    losses.label_smoothing,
    'label smoothing',
    'LSR',
    rules={'smoothing': number(lambda x: x < 1, 'below 1 (negative: NLS)')},
    paper='1512.00567',
  ),
  'gce': loss_spec(
    losses.generalized_cross_entropy,
    'generalized cross entropy',
    'GCE',
    rules={'q': number(lambda x: 0 < x <= 1, 'above 0 and at most 1')},
    tolerant='at q = 1, where it is MAE',
    paper='1805.07836',
  ),
  'bootstrap_soft': loss_spec(
    losses.bootstrap_soft,
    'soft bootstrapping',
    'Bootstrap soft',
    rules={'weight': _WEIGHT},
    paper='1412.6596',
  ),
  'bootstrap_hard': loss_spec(
    losses.bootstrap_hard,
    'hard bootstrapping',
    'Bootstrap hard',
    rules={'weight': _WEIGHT},
    paper='1412.6596',
  ),
  'd2l': Spec(
    d2l,
    'dimensionality-driven learning',
    'D2L',
    {
      'weight': Hparam(1.0, _WEIGHT),
      'neighbours': Hparam(20, whole(1), 'static'),
      'window': Hparam(5, whole(1), 'static'),
      'warm_up': Hparam(5, whole(0)),
    },
    paper='1806.02612',
  ),
  'forward': _corrected(
    losses.forward_correction,
    'forward correction',
    'Forward',
    hp.transition_matrix(reachable=True),
  ),
  'backward': _corrected(
    losses.backward_correction,
    'backward correction',
    'Backward',
    hp.transition_matrix(invertible=True),
  ),
  'focal': loss_spec(
    losses.focal,
    'focal loss',
    'Focal',
    rules={'gamma': _NOT_NEGATIVE},
    paper='1708.02002',
  ),
  'elr': Spec(
    elr,
    'early-learning regularization',
    'ELR',
    {
      'strength': Hparam(3.0, _NOT_NEGATIVE),
      'decay': Hparam(0.7, number(lambda x: 0 <= x < 1, 'in [0, 1)')),
    },
    paper='2007.00151',
  ),
  'co_teaching': Spec(
    co_teaching,
    'co-teaching',
    'Co-teaching',
    {
      'forget_rate': Hparam(None, number(lambda x: 0 <= x < 1, 'in [0, 1)')),
      'warm_up': Hparam(10, whole(1)),
    },
    paper='1804.06872',
    told_rate=True,
  ),
}


def find(name: Any) -> Spec:
  """The row of a method.

  Raises:
    UserError: there is no such method.
  """
  if not isinstance(name, str) or name not in SPECS:
    raise UserError(
      f'config.loss.name is {name!r}: it must be one of {", ".join(SPECS)}'
    )
  return SPECS[name]


def complete(name: Any, values: Mapping[str, Any]) -> dict[str, Any]:
  """Checks the hyper-parameters that a config gives, and adds the defaults.

  Args:
    name: a key of SPECS.
    values: concrete values by hyper-parameter; None counts as left out.

  Returns:
    All hyper-parameters but those that the method computes.

  Raises:
    UserError: one line that names what is wrong and what to do about it.

  Examples:
    >>> complete('gce', {})
    {'q': 0.7}
  """
  spec = find(name)
  known = {k: h for k, h in spec.hparams.items() if h.kind != 'computed'}
  have = ', '.join(known) or 'none'
  given = {key: value for key, value in values.items() if value is not None}
  for key in given:
    if key not in known:
      raise UserError(
        f'loss {name!r} has no hyper-parameter {key!r}; remove it (it has:'
        f' {have})'
      )
  for key, hparam in known.items():
    if hparam.default is None and key not in given:
      raise UserError(f'loss {name!r} needs {key!r}; give it (it has: {have})')
  filled = {key: given.get(key, h.default) for key, h in known.items()}
  check(name, filled)
  # NumPy's numbers become Python's: configs are kept as JSON.
  return {k: getattr(v, 'item', lambda v=v: v)() for k, v in filled.items()}


def check(name: str, values: Mapping[str, Any]) -> None:
  """Checks the values of hyper-parameters, also of computed ones.

  Raises:
    UserError: one line that names what is wrong and what to do about it.
  """
  spec = find(name)
  for key, value in values.items():
    complaint = spec.hparams[key].rule(value)
    if complaint:
      raise UserError(f'loss {name!r}: {key} {complaint}')
  positive = [float(values.get(key, 1)) for key in spec.positive]
  if positive and not any(positive):
    raise UserError(
      f'loss {name!r}: {" and ".join(spec.positive)} are both 0 and leave no'
      ' loss; give one of them a number above 0'
    )


def of_kind(
  name: str, values: Mapping[str, Any], *kinds: str
) -> dict[str, Any]:
  """Those of the hyper-parameters that are of some kinds, see Hparam."""
  hparams = find(name).hparams
  return {k: v for k, v in values.items() if hparams[k].kind in kinds}


def build(name: str, values: Mapping[str, Any]) -> Method:
  """The method of a name.

  Args:
    name: a key of SPECS.
    values: its hyper-parameters, as `complete` returns them; those that are
      static are compiled in.
  """
  return find(name).make(**of_kind(name, values, 'static'))
