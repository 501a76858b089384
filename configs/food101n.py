"""Food-101N: 310,000 photographs of dishes found by their names, 101 classes.

  python launch.py --config=configs/food101n.py:sl --config.data.path=FOLDER

FOLDER holds Food-101N_release/ and, for the test split, food-101/
(sce_jax/data/README.md).

recipe=plc: batch 32, SGD without momentum, learning rate 5e-3, a tenth from
epochs 11 and 21 on, weight decay 1e-3, 30 epochs, ResNet-50 pretrained on
ImageNet, short side 256, as the code of Zhang et al. has it (PLC, ICLR 2021,
pxiangwu/PLC). No source states settings of losses for these images: they are
those for CIFAR-10.

Expected: nothing is published for these losses; PLC itself 85.28 with its
relabelling, from memory. Time: not measured, the images could not be had.
"""

from ml_collections import config_dict

from configs import common

DEFAULT = common.ConfigArgs('sl', 'clean', 0.0, recipe='plc')
NOISES = (common.GIVEN,)
SCALES = {'short': common.WEB_SHORT}


def get_config(argument: str | None = None) -> config_dict.ConfigDict:
  """The config of an argument string, see common.py."""
  choice = common.parse(argument, DEFAULT, ('plc',))
  c = common.web_config(choice, 'food101n')
  common.set_penalty(c, 'weight_decay', 1e-3)
  c.optim.momentum = 0.0
  c.optim.learning_rate = 5e-3
  c.optim.boundaries = (10, 20)
  c.train.epochs = 30
  c.train.batch_size = 32
  c.train.drop_remainder = True
  return common.apply_tiny(c, choice)
