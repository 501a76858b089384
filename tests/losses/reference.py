"""The losses once more, in NumPy float64 and by other formulas.

Each function takes one example and returns the loss and its derivative in
`log p`. Everything is said in margins,
m_k = log(sum of the others' exponentials) - z_k, from which -log p_k and
log(1 - p_k) follow without cancellation at any size of the logits.

The losses of IN_LOGITS are no functions of p = softmax(z): they take `z[K]` and
return their derivative in it.
"""

import numpy as np
from scipy import optimize, special


class Prediction:
  """What one vector of logits says, each part to full relative accuracy."""

  def __init__(self, z):
    """Takes the logits `[K]`."""
    z = np.asarray(z, np.float64)
    margin = np.array(
      [np.logaddexp.reduce(np.delete(z, k)) - z[k] for k in range(z.size)]
    )
    self.nll = np.logaddexp(0, margin)  # -log p
    self.log_rest = -np.logaddexp(0, -margin)  # log(1 - p)
    self.p = np.exp(-self.nll)

  def jacobian(self):
    """The derivatives of log p_k in z_j."""
    jacobian = -np.tile(self.p, (self.p.size, 1))
    np.fill_diagonal(jacobian, np.exp(self.log_rest))
    return jacobian


def ce(x, target):
  return target @ x.nll, -target


def rce(x, target, log_zero):
  with np.errstate(divide='ignore'):
    log_q = np.where(target == 0, log_zero, np.log(target))
  return -x.p @ log_q, -x.p * log_q


def sl(x, target, alpha, beta, log_zero):
  forward, d_forward = ce(x, target)
  reverse, d_reverse = rce(x, target, log_zero)
  return alpha * forward + beta * reverse, alpha * d_forward + beta * d_reverse


def mae(x, target):
  return np.abs(x.p - target).sum(), np.sign(x.p - target) * x.p


def lsr(x, target, smoothing):
  value = (1 - smoothing) * (target @ x.nll) + smoothing * x.nll.mean()
  return value, -(1 - smoothing) * target - smoothing / target.size


def gce(x, target, q):
  # Not x.p**q: at logits of 1e4 p underflows, but a small power of it does not.
  return target @ -np.expm1(-q * x.nll) / q, -target * np.exp(-q * x.nll)


def bootstrap_soft(x, target, weight):
  entropy = x.p @ x.nll
  value = weight * (target @ x.nll) + (1 - weight) * entropy
  return value, -weight * target + (1 - weight) * x.p * (x.nll - 1)


def bootstrap_hard(x, target, weight):
  winner = np.argmin(x.nll)
  value = weight * (target @ x.nll) + (1 - weight) * x.nll[winner]
  return value, -weight * target - (1 - weight) * np.eye(target.size)[winner]


def forward(x, target, transition_matrix):
  with np.errstate(divide='ignore'):
    joint = np.log(transition_matrix) - x.nll[:, None]  # log p_i T_ij
  noisy = np.logaddexp.reduce(joint, axis=0)
  return -target @ noisy, -np.exp(joint - noisy) @ target


def backward(x, target, transition_matrix):
  inverse = np.linalg.inv(np.asarray(transition_matrix, np.float64))
  return target @ inverse @ x.nll, -target @ inverse


def _focal(x, gamma, detach):
  """The focal loss of every class, and its derivative in its log p."""
  factor = np.exp(gamma * x.log_rest)
  with np.errstate(divide='ignore'):
    log_nll = np.log(x.nll)
  # d(1 - p)^gamma / d log p = -gamma (1 - p)^(gamma - 1) p, times -log p.
  slope = gamma * np.exp((gamma - 1) * x.log_rest - x.nll + log_nll)
  return factor * x.nll, -factor if detach else -factor - slope


def focal(x, target, gamma, detach=False):
  values, slopes = _focal(x, gamma, detach)
  return target @ values, target * slopes


def _share(target, values, slopes):
  """The target's share of the values of all classes."""
  value = target @ values / values.sum()
  return value, slopes * (target - value) / values.sum()


def nce(x, target):
  return _share(target, x.nll, -np.ones(target.size))


def nfl(x, target, gamma, detach=False):
  return _share(target, *_focal(x, gamma, detach))


def ngce(x, target, q):
  return _share(target, -np.expm1(-q * x.nll), -q * np.exp(-q * x.nll))


def _negative(target, ceiling, values, slopes):
  low = values < ceiling
  value, slope = _share(target, (ceiling - values) * low, -slopes * low)
  return target.sum() - value, -slope


def nnce(x, target, p_min):
  return _negative(target, -np.log(p_min), x.nll, -np.ones(target.size))


def nnfl(x, target, gamma, p_min, detach=False):
  ceiling = -((1 - p_min) ** gamma) * np.log(p_min)
  return _negative(target, ceiling, *_focal(x, gamma, detach))


def agce(x, target, a, q):
  value = ((a + 1) ** q - (a + x.p) ** q) / q
  return target @ value, -target * (a + x.p) ** (q - 1) * x.p


def aul(x, target, a, q):
  value = ((a - x.p) ** q - (a - 1) ** q) / q
  return target @ value, -target * (a - x.p) ** (q - 1) * x.p


def ael(x, target, a):
  value = np.exp(-x.p / a)
  return target @ value, -target * value * x.p / a


def amse(x, target, a):
  away = x.p - a * target
  return np.mean(away**2), 2 * away * x.p / target.size


def unhinged(x, target):
  value = target @ (x.nll - x.nll.mean())
  return value, target.sum() / target.size - target


def sgce(x, target, q):
  values, slopes = -np.expm1(-q * x.nll) / q, -np.exp(-q * x.nll)
  value = target @ (values - values.mean())
  return value, slopes * (target - target.sum() / target.size)


def taylor(x, target, order):
  i = np.arange(1, order + 1)[:, None]
  value = (np.exp(i * x.log_rest) / i).sum(axis=0)
  slope = np.exp((i - 1) * x.log_rest).sum(axis=0)
  return target @ value, -target * slope * x.p


def phuber(x, target, tau):
  near = x.nll < np.log(tau)
  value = np.where(near, x.nll, 1 + np.log(tau) - tau * x.p)
  return target @ value, -target * np.where(near, 1, tau * x.p)


def truncated_gce(x, target, q, threshold):
  power = np.exp(-q * x.nll)
  floor = threshold**q
  value = (1 - np.maximum(power, floor)) / q
  return target @ value, -target * power * (power > floor)


def js(x, target, weight):
  w, zero = weight, target == 0
  m = w * target + (1 - w) * x.p
  with np.errstate(divide='ignore', invalid='ignore'):
    log_p_m = np.where(zero, -np.log(1 - w), -x.nll - np.log(m))
  scale = -(1 - w) * np.log(1 - w)
  value = w * special.rel_entr(target, m).sum() + (1 - w) * (x.p @ log_p_m)
  return value / scale, (1 - w) * x.p * log_p_m / scale


def log_tempered_softmax(z, t2):
  """Its normalisation by bisection."""
  e = t2 - 1

  def log_r(c):
    u = c - (z - z.max())
    return -np.log1p(e * u) / e if e else -u

  high = np.expm1(e * np.log(z.size)) / e if e else np.log(z.size)
  c = optimize.brentq(lambda c: special.logsumexp(log_r(c)), 0, high + 1)
  for _ in range(3):  # To the last digit.
    slope = -special.softmax(log_r(c)) @ np.exp(e * log_r(c))
    c -= special.logsumexp(log_r(c)) / slope
  return log_r(c)


def bi_tempered(z, target, t1, t2):
  b, r = 1 - t1, log_tempered_softmax(z, t2)

  def log_t(log_u):
    return np.expm1(b * log_u) / b if b else log_u

  log_q = np.log(np.where(target == 0, 1, target))
  value = target @ (log_t(log_q) - log_t(r))
  value -= (target ** (1 + b) - np.exp((1 + b) * r)).sum() / (1 + b)
  # d r_k / d z_j = r_k^t2 (1[j = k] - escort_j).
  escort = special.softmax(t2 * r)
  pull = np.exp((t2 - t1) * r) * (np.exp(r) - target)
  return value, pull - pull.sum() * escort


def ldr_kl(z, target, temperature, margin):
  softplus = np.logaddexp(0, z)
  low = z < -40
  log_softplus = np.where(low, z, np.log(np.where(low, 1, softplus)))
  s = z.size * special.softmax(log_softplus)
  value, in_s = 0.0, np.zeros(z.size)
  for weight, label in zip(target, np.eye(z.size), strict=True):
    lead = (s - label @ s + margin * (1 - label)) / temperature
    top = lead.max()
    mean = top + np.log1p(np.mean(np.expm1(lead - top)))
    value += weight * temperature * mean
    in_s += weight * (special.softmax(lead) - label)
  in_log = s * (in_s - in_s @ s / z.size)
  ratio = special.expit(z) / np.where(low, 1, softplus)
  return value, in_log * np.where(low, 1, ratio)


IN_LOGITS = {f.__name__: f for f in (bi_tempered, ldr_kl)}
REFERENCE = {
  f.__name__: f
  for f in (
    ce,
    rce,
    sl,
    mae,
    lsr,
    gce,
    bootstrap_soft,
    bootstrap_hard,
    forward,
    backward,
    focal,
    nce,
    nfl,
    ngce,
    nnce,
    nnfl,
    agce,
    aul,
    ael,
    amse,
    unhinged,
    sgce,
    taylor,
    phuber,
    truncated_gce,
    js,
  )
}


def as_target(label, size):
  label = np.asarray(label)
  if label.ndim == 0:
    return np.eye(size)[label]
  return label.astype(np.float64)


def values_and_gradients(name, logits, labels, hyper_parameters):
  """The losses `[N]` of a batch and their gradients `[N, K]` in the logits."""
  values, gradients = [], []
  for z, label in zip(np.asarray(logits), np.asarray(labels), strict=True):
    target = as_target(label, z.size)
    if name in IN_LOGITS:
      value, gradient = IN_LOGITS[name](z, target, **hyper_parameters)
    else:
      x = Prediction(z)
      value, d_log_p = REFERENCE[name](x, target, **hyper_parameters)
      gradient = d_log_p @ x.jacobian()
    values.append(value)
    gradients.append(gradient)
  return np.array(values), np.array(gradients)
