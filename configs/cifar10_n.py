"""CIFAR-10N: CIFAR-10 with labels that people gave (Wei et al., ICLR 2022).

  python launch.py --config=configs/cifar10_n.py:sl,worse

The noise is one of aggre (9 % wrong), random1 to random3 (17 to 18 %), worse
(40 %). Settings as in configs/cifar10.py.

Expected, as published for ResNet-34 and the best epoch, worse: CE 77.69
(Wang et al., NeurIPS 2024); JAL-CE 81.33, perhaps with this network and recipe.
Time: as configs/cifar10.py.
"""

from ml_collections import config_dict

from configs import cifar10, common

DEFAULT = common.ConfigArgs('sl', 'worse', 0.0, recipe='apl')
SCALES = cifar10.SCALES


def get_config(argument: str | None = None) -> config_dict.ConfigDict:
  """The config of an argument string, see common.py."""
  choice = common.parse(argument, DEFAULT, ('paper', 'apl'))
  c = cifar10.cifar10(choice, 'cifar10_n')
  # Wei et al. give 9.03 % (aggre), 40.21 % (worse), 17.23, 18.12 and 17.64 %
  # (random1 to 3) wrong labels.
  c.data.label_sets = config_dict.ConfigDict(
    {
      'aggre': 'aggre_label',
      'worse': 'worse_label',
      'random1': 'random_label1',
      'random2': 'random_label2',
      'random3': 'random_label3',
    }
  )
  return c
