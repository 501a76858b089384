"""CIFAR-100: the paper's ResNet-44, or the field's ResNet-34.

  python launch.py --config=configs/cifar100.py:sl,symmetric,0.4,recipe=paper

recipe=paper: the authors' code: pre-activation ResNet-44, SGD, learning rate
0.1, a tenth from epoch 81 and 121, each divided by 1 + 5e-3 * step; L2 0.01
on all kernels; shifts, flips, rotations of up to 20 degrees; 150 epochs; SL
with alpha 6, beta 0.1.
recipe=apl: the protocol of Ma et al. (ICML 2020) with ResNet-34, as later
papers use it: learning rate 0.1, cosine, weight decay 1e-5, gradients clipped
at 5, crops, flips, rotations, 200 epochs.

Expected, symmetric 0.4, as published: recipe=paper, CE 50.82, SL 53.69 (the
paper's table, transcribed in issue 3 of its repository); recipe=apl, last
epoch, CE 39.31, SL 40.23 (Wang et al., NeurIPS 2024, table 2).
Time: needs a GPU; not measured there.
"""

from collections.abc import Iterator

from ml_collections import config_dict

from configs import common

DEFAULT = common.ConfigArgs('sl', 'symmetric', 0.4, recipe='paper')
ASYMMETRIC = 'asymmetric_cifar100'
SCALES = {
  'full': common.Scale(3, {'eval.train_every': 10}),
  'short': common.Scale(
    1,
    {
      'data.limit': 5000,
      'train.epochs': 20,
      'optim.boundaries': (14, 18),
      'eval.train_every': 2,
    },
    'Short: the first 5,000 training and test images, 20 epochs with a schedule'
    ' for them; in full, 50,000 images and 150 epochs.',
    few=True,
  ),
}


def get_config(argument: str | None = None) -> config_dict.ConfigDict:
  """The config of an argument string, see common.py."""
  return cifar100(common.parse(argument, DEFAULT, ('paper', 'apl')), 'cifar100')


def cifar100(choice: common.ConfigArgs, dataset: str) -> config_dict.ConfigDict:
  """The config for CIFAR-100's images, with whichever labels."""
  c = common.base_config(choice, dataset)
  c.data.mean = (0.5071, 0.4865, 0.4409)
  c.data.std = (0.2673, 0.2564, 0.2762)
  c.data.augment.flip = True
  c.data.augment.rotate = 20.0
  c.train.steps_per_dispatch = 39
  if choice.recipe == 'paper':
    c.data.normalization = 'pixel_mean'
    c.data.augment.shift = 0.2
    c.data.augment.fill = 'nearest'
    c.model.name = 'resnet44'
    c.optim.learning_rate = 0.1
    c.optim.boundaries = (81, 121)
    c.optim.time_decay = 5e-3
    common.set_penalty(c, 'l2', 0.01)
    c.optim.l2_names = 'kernel$'
    c.train.epochs = 150
  else:
    c.data.normalization = 'mean_std'
    c.data.augment.pad_crop = 4
    common.use_apl(c, learning_rate=0.1, weight_decay=1e-5)
    c.model.name = 'resnet34'
    c.model.use_bias = False
    c.model.initializer = 'torch'
    c.train.epochs = 200
  return common.apply_tiny(c, choice)


def sweep() -> Iterator[dict[str, str]]:
  """CE, GCE and SL under several noises, three seeds."""
  return common.grid(('asymmetric_cifar100', 0.4))
