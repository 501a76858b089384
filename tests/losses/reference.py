"""The losses once more, in NumPy float64 and by other formulas.

Each function takes one example `(z[K], target[K])` and returns the loss and
its derivative in `log p`. Everything is said in margins,
m_k = log(sum of the others' exponentials) - z_k, from which -log p_k and
log(1 - p_k) follow without cancellation at any size of the logits.
"""

import numpy as np


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


def focal(x, target, gamma):
  factor = np.exp(gamma * x.log_rest)
  with np.errstate(divide='ignore'):
    log_nll = np.log(x.nll)
  # d(1 - p)^gamma / d log p = -gamma (1 - p)^(gamma - 1) p, times -log p.
  slope = gamma * np.exp((gamma - 1) * x.log_rest - x.nll + log_nll)
  return target @ (factor * x.nll), -target * (factor + slope)


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
    x = Prediction(z)
    target = as_target(label, z.size)
    value, d_log_p = REFERENCE[name](x, target, **hyper_parameters)
    values.append(value)
    gradients.append(d_log_p @ x.jacobian())
  return np.array(values), np.array(gradients)
