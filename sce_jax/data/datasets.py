"""The data sets, a row each."""

from collections.abc import Mapping
import dataclasses
import types


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
  """What the pipeline needs to know of a data set.

  Attributes:
    num_classes: K.
    image_shape: (height, width, channels).
    pixel_max: the pixel value that becomes 1.
    mean: of each channel over the training images, of pixels scaled to [0, 1].
    std: of each channel, likewise.
    human_labels: human labels that can be chosen as the noise, by the name of
      the noise: the feature that holds them.
    download_host: where tfds downloads it from, None for what needs no network.
    class_names: of each class, where it has a name; else empty.
  """

  num_classes: int
  image_shape: tuple[int, int, int]
  pixel_max: float
  mean: tuple[float, ...]
  std: tuple[float, ...]
  human_labels: Mapping[str, str] = dataclasses.field(
    default_factory=lambda: types.MappingProxyType({})
  )
  download_host: str | None = None
  class_names: tuple[str, ...] = ()


_CIFAR10 = DatasetInfo(
  num_classes=10,
  image_shape=(32, 32, 3),
  pixel_max=255.0,
  # Over all pixels of the 50,000 training images, as SCELoss-Reproduce and
  # Active Passive Loss use them: torch's convention, (x / 255 - mean) / std.
  mean=(0.49139968, 0.48215827, 0.44653124),
  std=(0.24703233, 0.24348505, 0.26158768),
  download_host='www.cs.toronto.edu',
  class_names=(
    'airplane',
    'automobile',
    'bird',
    'cat',
    'deer',
    'dog',
    'frog',
    'horse',
    'ship',
    'truck',
  ),
)
_CIFAR100 = dataclasses.replace(
  _CIFAR10,
  num_classes=100,
  mean=(0.5071, 0.4865, 0.4409),
  std=(0.2673, 0.2564, 0.2762),
  class_names=(),
)

DATASETS: dict[str, DatasetInfo] = {
  'digits': DatasetInfo(
    num_classes=10,
    image_shape=(8, 8, 1),
    pixel_max=16.0,
    # Over the 1,198 training images.
    mean=(0.3054,),
    std=(0.3759,),
  ),
  'mnist': DatasetInfo(
    num_classes=10,
    image_shape=(28, 28, 1),
    pixel_max=255.0,
    mean=(0.1307,),
    std=(0.3081,),
    download_host='storage.googleapis.com',
  ),
  'cifar10': _CIFAR10,
  'cifar100': _CIFAR100,
  # CIFAR-N (Wei et al., ICLR 2022): the rates in the paper are 9.03 %
  # (aggre), 40.21 % (worse), 17.23, 18.12 and 17.64 % (random1 to 3).
  'cifar10_n': dataclasses.replace(
    _CIFAR10,
    human_labels={
      'aggre': 'aggre_label',
      'worse': 'worse_label',
      'random1': 'random_label1',
      'random2': 'random_label2',
      'random3': 'random_label3',
    },
  ),
  # 40.20 % of the labels are wrong.
  'cifar100_n': dataclasses.replace(
    _CIFAR100, human_labels={'noisy': 'noise_label'}
  ),
}
