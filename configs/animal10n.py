"""ANIMAL-10N: 50,000 images of animals that people confuse.

  python launch.py --config=configs/animal10n.py:sl --config.data.path=FOLDER

FOLDER holds raw_image/ or training/ and testing/ (sce_jax/data/README.md).
The images have 64 x 64 pixels and are used as they are.

recipe=plc: batch 128, SGD without momentum, learning rate 0.1, a fifth from
epochs 51 and 76 on, weight decay 1e-3, 100 epochs, flips only, ImageNet's mean
and spread, as the code of Zhang et al. has it (PLC, ICLR 2021, pxiangwu/PLC);
its network is VGG-19 with batch norm, here it is ResNet-34. No source states
settings of losses for these images: they are those for CIFAR-10.

Expected: as published for other networks, ANL-CE 80.72 (Ye et al., NeurIPS
2023, from notes on it). Time: not measured, the images could not be had.
"""

from ml_collections import config_dict

from configs import common

DEFAULT = common.ConfigArgs('sl', 'clean', 0.0, recipe='plc')
NOISES = (common.GIVEN,)
SCALES = {'short': common.WEB_SHORT}


def get_config(argument: str | None = None) -> config_dict.ConfigDict:
  """The config of an argument string, see common.py."""
  choice = common.parse(argument, DEFAULT, ('plc',))
  c = common.web_config(choice, 'animal10n')
  c.data.prepared_side = c.data.image_size = 64
  # They fit into memory, whole.
  c.data.feed, c.data.augment.crop = 'resident', 'center'
  c.model.name = 'resnet34'
  c.model.init_from = None
  common.set_penalty(c, 'weight_decay', 1e-3)
  c.optim.momentum = 0.0
  c.optim.boundaries = (50, 75)
  c.optim.factor = 0.2
  c.train.epochs = 100
  c.train.batch_size = 128
  c.train.drop_remainder = True
  return common.apply_tiny(c, choice)
