"""What is known of a method, and the row of one that is only a loss."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
from typing import Any

from sce_jax.methods.base import Method, from_loss
from sce_jax.methods.hparams import Hparam, Rule, number
from sce_jax.methods.loss_wrappers import Loss, keywords

# What a symmetric loss tolerates; see Spec.tolerant.
SYMMETRIC_NOISE = 'symmetric noise below 1 - 1/K'


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
    loss: the function of sce_jax.losses, if it is that and nothing else.
    told_rate: the hyper-parameter that is the noise rate, which a user of real
      data does not know; '': there is none.
    positive: hyper-parameters of which one at least must be above 0.
    formula: the loss of a class y, as a Python expression of the
      hyper-parameters and of the names that `loss_rows.FORMULA_NAMES`
      explains.
    bound: the least and the largest value of the loss of a class, as such
      expressions; None if the method is more than a loss.
    tuned_per_rate: whether its paper, or the comparisons that its settings are
      from, chose other settings for other noise rates, which a user of real
      data cannot; None if that is not known.
    tuned_per_kind: whether they did so for other kinds of noise, if not for
      each rate in any case.
    starts_after: the hyper-parameter that is the number of epochs after which
      the method begins, so that there must be more; '': there is none.
    whole_after: of its hyper-parameters, how many epochs a run needs to have
      all of the method: with fewer it is cross entropy, or has not come to its
      full strength; None: any number will do.
    ordered: hyper-parameters none of which may be less than the one before.
  """

  make: Callable[..., Method]
  title: str
  short: str
  hparams: Mapping[str, Hparam]
  tolerant: str = ''
  paper: str = ''
  loss: Loss | None = None
  told_rate: str = ''
  positive: tuple[str, ...] = ()
  formula: str = ''
  bound: tuple[str, str] | None = None
  tuned_per_rate: bool | None = None
  tuned_per_kind: bool = False
  starts_after: str = ''
  whole_after: Callable[[Mapping[str, Any]], int] | None = None
  ordered: tuple[str, ...] = ()


def loss_spec(
  loss: Loss,
  title: str,
  short: str,
  *,
  rules: Mapping[str, Rule] | None = None,
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
  parameters = keywords(loss)
  strange = {*rules, *static} - set(parameters)
  if strange:
    raise ValueError(f'{title} has no hyper-parameter {sorted(strange)}')
  hparams = {
    name: Hparam(
      None if parameter.default is parameter.empty else parameter.default,
      rules.get(name, number()),
      'static' if name in static else 'traced',
    )
    for name, parameter in parameters.items()
  }

  def make(**constants):
    return from_loss(functools.partial(loss, **constants))

  return Spec(make, title, short, hparams, loss=loss, **facts)


def combined(
  loss: Loss,
  parts: Sequence[Spec],
  title: str,
  short: str,
  *,
  rules: Mapping[str, Rule],
  around: Callable[[Method], Method] | None = None,
  hparams: Mapping[str, Hparam] | None = None,
  **facts: Any,
) -> Spec:
  """The row of a loss that loss_wrappers.py makes of others.

  A hyper-parameter of a part has the range and the kind that it has there. A
  name that two parts have is one hyper-parameter of both.

  Args:
    loss: made of the losses of the parts.
    parts: their rows.
    title: its name in a sentence.
    short: its name in tables and pictures.
    rules: as in `loss_spec`, of what the wrappers added; what is none of the
      loss's is not looked at, so one table serves all.
    around: what makes the method of that of the loss, such as a regularizer.
    hparams: the hyper-parameters that `around` adds.
    **facts: further fields of Spec.
  """
  names = keywords(loss)
  known = {k: h for part in parts for k, h in part.hparams.items()}
  spec = loss_spec(
    loss,
    title,
    short,
    rules={
      k: rule
      for k, rule in {**rules, **{k: h.rule for k, h in known.items()}}.items()
      if k in names
    },
    static=[k for k in names if k in known and known[k].kind == 'static'],
  )

  def make(**constants):
    method = spec.make(**constants)
    return method if around is None else around(method)

  return dataclasses.replace(
    spec,
    make=make,
    hparams={**spec.hparams, **(hparams or {})},
    loss=None,
    **facts,
  )
