"""Clothing1M: a million photographs from shops, about 38 % wrong labels.

  python launch.py --config=configs/clothing1m.py:sl --config.data.path=FOLDER

FOLDER holds the download (sce_jax/data/README.md); what is not prepared is
first, into --data_dir. To try it on a CPU:

  python launch.py --config=configs/clothing1m.py:sl,tiny \
    --config.data.path=FOLDER --config.model.init_from=random

recipe=paper: batch 32, SGD 0.9, learning rate 1e-3, a tenth from epoch 6 on,
weight decay 1e-3, 10 epochs, ResNet-50 pretrained on ImageNet (Wang et al.,
ICCV 2019; so do SEAL and most later papers, of which some take batch 256).
recipe=eps_softmax: batch 256, learning rate 5e-3, the mean and spread of its
own images, bfloat16 (Wang et al., NeurIPS 2024); it reports the last epoch.
Not as there: its code squeezes an image to 256 x 256 before it crops 224 x 224,
here the image keeps its proportions; it begins from torchvision's V2 weights,
which are those of resnet50-11ad3fa6.pth.
recipe=dividemix: each epoch 1,000 batches of 32, drawn anew with as many images
of each class; learning rate 2e-3, a tenth from epoch 41 on, 80 epochs (Li et
al., ICLR 2020, without its method).

Other choices: --config.data.train_split=clean_train or noisy_and_clean;
--config.data.per_class=0, the largest balanced subset (14 x 18,976), or n of
each class. Forward takes the T that is measured on the images with both labels:
--config=configs/clothing1m.py:forward. After each epoch clean validation and
clean test are evaluated, every image once; the figure of a run is the last
epoch's on clean test.

Expected, clean test, last epoch, as published: recipe=eps_softmax, CE 67.38,
GCE 69.03, SL 67.40 (Wang et al., NeurIPS 2024); recipe=paper, SL 71.02
(claimed and unverified on sotaverified.org). Time: not measured, the images
could not be had; experiments/cloud/SCALE.md works it out.
"""

from collections.abc import Iterator

from ml_collections import config_dict

from configs import common

DEFAULT = common.ConfigArgs('sl', 'clean', 0.0, recipe='paper')
NOISES = (common.GIVEN,)
RECIPES = ('paper', 'eps_softmax', 'dividemix')
SCALES = {
  'short': common.WEB_SHORT,
  'tiny': common.Scale(
    1,
    {**common.TINY, 'data.image_size': 32, 'train.balanced_batches': None},
    common.TINY_NOTE,
    few=True,
  ),
}
RUNS_PER_PROGRAM = 1


def get_config(argument: str | None = None) -> config_dict.ConfigDict:
  """The config of an argument string, see common.py."""
  choice = common.parse(argument, DEFAULT, RECIPES)
  c = common.web_config(choice, 'clothing1m')
  common.set_penalty(c, 'weight_decay', 1e-3)
  c.train.epochs = 10
  c.optim.boundaries = (5,)
  c.optim.learning_rate = 1e-3
  c.train.batch_size = 32
  if choice.recipe == 'eps_softmax':
    # Of noisy train, resized to 256 x 256.
    c.data.mean = (0.6959, 0.6537, 0.6371)
    c.data.std = (0.3113, 0.3192, 0.3214)
    c.model.dtype = 'bfloat16'
    c.optim.learning_rate = 5e-3
    c.train.batch_size = 256
  elif choice.recipe == 'dividemix':
    c.optim.learning_rate = 2e-3
    c.optim.boundaries = (40,)
    c.train.epochs = 80
    c.train.balanced_batches = 1000
  if choice.tiny:
    c.update_from_flattened_dict(SCALES['tiny'].changes)
  return c


def sweep() -> Iterator[dict[str, str]]:
  """CE, forward with the measured T, GCE and SL, three seeds."""
  for loss in ('ce', 'forward', 'gce', 'sl'):
    for seed in range(3):
      yield {'argument': f'{loss},seed={seed}'}
