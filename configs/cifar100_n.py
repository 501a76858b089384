"""CIFAR-100N: CIFAR-100 with labels that people gave (Wei et al., ICLR 2022).

  python launch.py --config=configs/cifar100_n.py:sl,noisy

40.2 % of the labels are wrong. Settings as in configs/cifar100.py, recipe=apl.

Expected, as published for ResNet-34 and the best epoch: CE 55.50 (Wang et al.,
NeurIPS 2024). Time: as configs/cifar100.py.
"""

from ml_collections import config_dict

from configs import cifar100, common

DEFAULT = common.ConfigArgs('sl', 'noisy', 0.0, recipe='apl')
SCALES = cifar100.SCALES


def get_config(argument: str | None = None) -> config_dict.ConfigDict:
  """The config of an argument string, see common.py."""
  choice = common.parse(argument, DEFAULT, ('paper', 'apl'))
  c = cifar100.cifar100(choice, 'cifar100_n')
  c.data.label_sets = config_dict.ConfigDict({'noisy': 'noise_label'})
  return c
