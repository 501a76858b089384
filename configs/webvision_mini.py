"""WebVision mini: 65,944 of Google's images of 50 classes.

  python launch.py --config=configs/webvision_mini.py:sl \
    --config.data.path=FOLDER

FOLDER holds info/, google/ and val_images_256/ (sce_jax/data/README.md).

recipe=apl: ResNet-50 from scratch, learning rate 0.4, times 0.97 after each
epoch, Nesterov, weight decay 3e-5, gradients clipped at 5, 250 epochs: Ma et
al. (ICML 2020) and the losses after it. Batch 256, as those have it whose
figures follow; that of Ma et al. is 512.

Expected, as published (Wang et al., NeurIPS 2024), top 1: CE 66.08, GCE 61.96,
SL 67.92, NCE+RCE 66.88. Time: not measured, the images could not be had.
"""

from ml_collections import config_dict

from configs import common

DEFAULT = common.ConfigArgs('sl', 'clean', 0.0, recipe='apl')
NOISES = (common.GIVEN,)
SCALES = {'short': common.WEB_SHORT}


def get_config(argument: str | None = None) -> config_dict.ConfigDict:
  """The config of an argument string, see common.py."""
  choice = common.parse(argument, DEFAULT, ('apl',))
  c = common.web_config(choice, 'webvision_mini')
  c.data.augment.crop = 'resized'
  c.model.init_from = None
  c.optim.learning_rate = 0.4
  c.optim.schedule = 'exponential'
  c.optim.factor = 0.97
  c.optim.nesterov = True
  common.set_penalty(c, 'weight_decay', 3e-5)
  c.optim.clip_norm = 5.0
  c.train.epochs = 250
  c.train.batch_size = 256
  return common.apply_tiny(c, choice)
