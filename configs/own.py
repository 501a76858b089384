"""Images or feature vectors of your own, whose labels may be partly wrong.

  python launch.py --config=configs/own.py:sl --config.data.path=PATH

PATH is a folder of class folders, a table of files and labels (.csv, .tsv,
.jsonl, .parquet), a folder with one, or an .npz: sce_jax/data/README.md. An
.npz may hold feature vectors [N, D], embeddings or a table, in images' place.
The labels are taken as they are. With a noise in the argument, such as
:sl,symmetric,0.4, they are taken for the true ones, and noise is added.

The values stand in sce_jax/config/own.py. What nobody knows before the data are
read is None there, and is chosen then, by choose.py beside it; the run's
config.json has what was chosen. Any of it can be given:
--config.model.name=resnet34. The choices and their reasons:

network      below 16 pixels digits_cnn, which pools once; grey up to 32 pixels
             mnist_cnn; up to 64 cifar_cnn, the paper's, which two CPU cores
             can train; above, where its dense layer becomes too large,
             resnet34, which wants an accelerator. Feature vectors: mlp, one
             hidden layer of 256, which learns what a linear one cannot; a
             second one only memorises more.
batch        64, and 128 from 20,000 images on; down to 8 where that leaves
             fewer than eight steps an epoch.
epochs       60, from 5,000 images on 40, from 50,000 on 30: SL does not
             memorise, so more only cost time; few images need the steps.
SL's weights alpha 0.1, beta 1, the paper's for CIFAR-10; small grey images and
             features 0.01, as for its MNIST, on which 0.1 memorises; above 30
             classes 6 and 0.1, as for its CIFAR-100: RCE's gradient grows with
             p_y, which begins at 1 / K.
A            -4: with it SL learns the digits in configs/digits.py.
eps-softmax  MAE's weight 0.5, not CIFAR-10's 5: 1,198 digits of which 20 % are
             wrong, three seeds: 96.8 % +- 0.7 at 0.5, a class lost in one run
             of three at 1 and 2, in each at 5 (81.7 %).
learning     0.02, cosine to 0, Nesterov, gradients clipped at 5: no epochs to
             choose at which the rate would fall.
weight decay 0, of feature vectors 0.01: a dense layer over hundreds of them
             memorises else. It is the mlp's only regularisation, and there is
             no batch norm, which would undo it. Measured below.
batch norm   0.9: at 0.99 its statistics lag behind in runs of few steps.
augmentation none: mirrored digits or letters are other ones. For photographs
             add --config.data.augment.flip=True
             --config.data.augment.pad_crop=4
test split   none unless the data have one; --config.data.held_out=0.2 holds
             a fifth of the training images out. Their labels are as noisy as
             the others, so that right predictions count as errors there.

Pixels as feature vectors, digits (1,198 of 64) and MNIST (the first 5,000, of
784), symmetric 0.4, test accuracy and wrong labels memorised in per cent, mean
of seeds 0 to 2 (`compare --config=configs/own.py:sl,symmetric,0.4
--config.data.path=digits.npz --trials=loss.name=ce,sl
--trials=optim.weight_decay=0,0.001,0.01,0.1 --trials=seed=0..2`; AMD EPYC,
2 cores, 2026-11-26):

weight decay    digits: CE            SL   MNIST: CE            SL
       0         71.7, 80       92.5,  9    68.4, 99       87.5, 16
       0.001     73.8, 72       92.7,  9    70.3, 97       88.2, 15
       0.01      88.0, 20       93.8,  5    81.4, 74       90.8, 10
       0.1       88.9,  2       82.1,  4    87.1,  3       88.5,  2

At 0.1 SL loses a whole class of the digits. Where there are about as many
features as examples, a network can tell all examples apart, and SL memorises
with each of these settings: fewer epochs help, --config.train.epochs=20.

Expected: on 2,000 digits of 8x8 pixels as PNG files, a fifth held out, test
accuracy 0.99. Time: 17 s for that on two CPU cores, compilation included.
"""

from typing import Any

from ml_collections import config_dict

from configs import common
from sce_jax.config import own

DEFAULT = common.ConfigArgs('sl', 'clean', 0.0, recipe='own')


class _Path(config_dict.FieldReference):
  """config.data.path, whose last part names the data set, until it has a name.

  So runs, their folders and reports are told by it.
  """

  def __init__(self, section: config_dict.ConfigDict):
    self._section = section
    self._unnamed = section.name
    super().__init__(None, str)

  def set(self, value: str | None, type_safe: bool = True) -> None:
    super().set(value, type_safe)
    if value and self._section.name == self._unnamed:
      last = value.replace('\\', '/').rstrip('/').rpartition('/')[2]
      # Of .. and the like nothing is left; a run's folder must not be hidden.
      self._section.name = self._unnamed = last.lstrip('.~') or self._unnamed

  def __setstate__(self, state: dict[str, Any]) -> None:
    super().__setstate__(state)
    self._section = state['_section']
    self._unnamed = state['_unnamed']


def get_config(argument: str | None = None) -> config_dict.ConfigDict:
  """The config of an argument string, see common.py."""
  choice = common.parse(argument, DEFAULT, ('own',))
  c = own.own_config(choice.loss, choice.noise, choice.rate, choice.seed)
  c.data.source = 'path'
  del c.data.path  # Which would only be given the new field's value.
  c.data.path = _Path(c.data)
  return common.apply_tiny(c, choice)
