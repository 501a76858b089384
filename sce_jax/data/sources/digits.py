"""scikit-learn's 8x8 digits as a tfds data set: real images, no network."""

from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

TEST_SHARE = 1 / 3


class Digits(tfds.core.GeneratorBasedBuilder):
  """1,797 handwritten digits (Alpaydin and Kaynak, UCI, 1998).

  The images come with scikit-learn: 8x8 pixels of 17 grey levels, 0 to 16.
  A third of each class, fixed, is the test split: 1,198 and 599 images.
  """

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES: ClassVar = {'1.0.0': 'First version.'}

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
      builder=self,
      description=type(self).__doc__,
      features=tfds.features.FeaturesDict(
        {
          # Not an Image: encoding one to PNG would need TensorFlow.
          'image': tfds.features.Tensor(shape=(8, 8, 1), dtype=np.uint8),
          'label': tfds.features.ClassLabel(num_classes=10),
          'id': tfds.features.Scalar(dtype=np.int64),
        }
      ),
      supervised_keys=('image', 'label'),
      disable_shuffling=True,
    )

  def _split_generators(self, dl_manager):
    del dl_manager  # Nothing to download.
    # Imported where it is used: it takes a second, and only preparing needs it.
    from sklearn import datasets, model_selection  # noqa: PLC0415

    images, labels = datasets.load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8, 1).astype(np.uint8)
    train, test = model_selection.train_test_split(
      np.arange(len(labels)),
      test_size=TEST_SHARE,
      stratify=labels,
      random_state=0,
    )
    return {
      name: self._generate_examples(images, labels, np.sort(ids))
      for name, ids in (('train', train), ('test', test))
    }

  def _generate_examples(self, images, labels, ids):
    for i in ids.tolist():
      yield i, {'image': images[i], 'label': int(labels[i]), 'id': i}
