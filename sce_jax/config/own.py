"""Settings for a user's own data; configs/own.py gives the reasons.

What depends on the data is None here and chosen by choose.py once they have
been read.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import config_dict

from sce_jax.config import base

_PRESETS: Mapping[str, Mapping[str, Any]] = {
  'sl': {'alpha': None, 'beta': None, 'log_zero': -4.0},
  'rce': {'log_zero': -4.0},
  # With the published 5 one class or more is never learned from few images.
  'eps_ce_mae': {'beta': 0.5},
  'eps_fl_mae': {'beta': 0.5},
}


def own_config(
  loss: str = 'sl', noise: str = 'clean', rate: float = 0.0, seed: int = 0
) -> config_dict.ConfigDict:
  """The config of data whose labels may be wrong, before it is known of which.

  Args:
    loss: a key of sce_jax.methods.SPECS.
    noise: a noise's name; clean: the labels are the data's own.
    rate: the noise rate.
    seed: of everything random.
  """
  c = base.base_config('own', loss, noise, rate, seed, _PRESETS)
  c.data.clean_labels = noise not in ('clean', 'file')
  c.data.normalization = 'mean_std'
  c.model.name = config_dict.placeholder(str)
  c.model.batch_norm_momentum = 0.9
  c.optim.learning_rate = 0.02
  c.optim.weight_decay = config_dict.placeholder(float)
  c.optim.schedule = 'cosine'
  c.optim.nesterov = True
  c.optim.clip_norm = 5.0
  c.train.epochs = config_dict.placeholder(int)
  c.train.batch_size = config_dict.placeholder(int)
  c.eval.train_every = 5
  return c
