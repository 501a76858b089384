"""Evaluates the formulas and bounds that the table of methods shows."""

import numpy as np
from scipy import special

from tests.losses import reference


def evaluate(expression, hyper, size, z=None, y=None):
  """The value of a `formula` or a bound of a Spec, in NumPy.

  Args:
    expression: the string.
    hyper: the hyper-parameters.
    size: the number of classes K.
    z: logits [K], for a formula.
    y: the label, for a formula.
  """
  names = {'K': size, 'inf': np.inf, **_FUNCTIONS, **hyper}
  if z is not None:
    p = special.softmax(z)
    softplus = np.logaddexp(0, z)
    s = size * softplus / softplus.sum()
    names |= {'z': z, 'y': y, 'k': np.arange(size), 'p': p, 'p_y': p[y]}
    names |= {'s': s, 's_y': s[y]}
    if 'gamma' in hyper:
      names['FL'] = lambda u: -((1 - u) ** hyper['gamma']) * np.log(u)
    if 'weight' in hyper:
      names['m'] = hyper['weight'] + (1 - hyper['weight']) * p[y]
    if 't2' in hyper:
      r = np.exp(reference.log_tempered_softmax(z, hyper['t2']))
      rest = 1 - hyper['t1']
      names |= {'r': r, 'r_y': r[y]}
      names['log_t'] = lambda u: (u**rest - 1) / rest if rest else np.log(u)
  return eval(expression, {'__builtins__': {'range': range}, **names})


def _max(*x):
  return np.max(x[0]) if len(x) == 1 else np.maximum(*x)


_FUNCTIONS = {
  'exp': np.exp,
  'inv': np.linalg.inv,
  'log': np.log,
  'max': _max,
  'mean': np.mean,
  'sum': lambda x: np.sum(x if isinstance(x, np.ndarray) else list(x)),
}
