"""Arrays of images and labels in an .npz."""

import io
import pathlib
import zipfile

from hypothesis import strategies as st
import numpy as np
import pytest

from tests.data import reading
from tests.data.reading import told
from tests.data.sources import odd

IMAGES = np.arange(4 * 8 * 8, dtype=np.uint8).reshape(4, 8, 8)
LABELS = np.array([7, 3, 3, 7])


def read(path, **changes):
  return reading.read('own', None, **{'path': str(path), **changes})


@pytest.fixture
def save(tmp_path):
  def write(**arrays):
    np.savez(tmp_path / 'own.npz', **arrays)
    return tmp_path / 'own.npz'

  return write


def test_grey_images_get_a_channel(save):
  data = read(save(x=IMAGES, y=LABELS))
  np.testing.assert_array_equal(data.train.image, IMAGES[..., None])
  assert data.info.class_names == ('3', '7')
  assert data.train.label.tolist() == [1, 0, 0, 1]
  assert data.train.example_id.tolist() == [0, 1, 2, 3]
  assert data.test is None and data.train.clean_label is None
  assert data.info.name == 'own' and data.summary['notes'] == []


def test_labels_from_1_on_are_relabelled_by_what_they_are_called(
  save, tmp_path
):
  choices = tmp_path / 'choices.csv'
  choices.write_text('example_id,label\n0,2\n1,1\n')
  path = save(x=IMAGES, y=np.array([1, 2, 3, 1]))
  data = read(path, relabel=str(choices))
  assert data.info.class_names == ('1', '2', '3')
  # 2 and 1 are the classes of the places 1 and 0; the others are undecided.
  assert data.choices.tolist() == [1, 0, -2, -2]


@pytest.mark.parametrize(
  ('train', 'test', 'expected'),
  [
    # Resizing leaves pixels beyond the range beside edges: they are cut off.
    ([0, 0.2, 1], [-0.04, 0.2, 1.01], [0, 51, 255]),
    ([0, 0.2, 1.01], [0, 0.2, 1], [0, 51, 255]),
    ([0, 51, 255], [-3, 51, 258], [0, 51, 255]),
    # A few dark images.
    ([0, 0.2, 1], [0, 0, 0.2], [0, 0, 51]),
    ([0, 51, 255], [0, 0, 51], [0, 0, 51]),
    ([False, True, True], [0, 0.2, 1.2], [0, 51, 255]),
  ],
)
def test_the_test_split_has_the_scale_of_the_training_split(
  train, test, expected, save
):
  def images(values):
    return np.repeat(np.array(values).reshape(3, 1, 1), 2, axis=1)

  labels = np.array([0, 1, 1])
  data = read(
    save(
      x=images(train),
      y=labels,
      x_test=images(test).astype(np.float32),
      y_test=labels,
    )
  )
  assert data.test.image[:, 0, 0, 0].tolist() == expected
  assert data.train.image[:, 0, 0, 0].max() == 255


@pytest.mark.parametrize(
  ('train', 'test', 'message'),
  [
    ([0, 1.0], [0, 1.5], 'to 1.5: give uint8, or floats in [0, 1], as those'),
    ([0, 1.0], [0, 255.0], 'to 255: give uint8, or floats in [0, 1], as those'),
    ([0, 255.0], [0, 1.0], 'to 1, and those that are trained on are in [0, 25'),
    ([0, 255.0], [-70, 1.0], 'from -70 to 1: give uint8, or floats in [0, 255'),
  ],
)
def test_a_test_split_of_another_range_is_refused(train, test, message, save):
  labels = np.array([0, 1])
  path = save(
    x=np.array(train).reshape(2, 1, 1),
    y=labels,
    x_test=np.array(test).reshape(2, 1, 1),
    y_test=labels,
  )
  assert message in told(read, path)


def test_arrays_that_are_not_used_are_told(save):
  path = save(
    x=IMAGES, x_train=IMAGES, y=LABELS, x_val=IMAGES, clean_label=LABELS
  )
  assert read(path).summary['warnings'][0] == (
    "arrays that are not used: 'x_train', 'x_val', 'clean_label'; names that"
    ' are known: images, x, train_images, x_train, labels, y, train_labels,'
    ' y_train, clean_labels, test_images, x_test, test_labels, y_test'
  )


def test_all_arrays_are_read(save):
  colour = np.stack([IMAGES] * 3, axis=-1)
  data = read(
    save(
      images=colour,
      labels=np.array(['b', 'a', 'a', 'b']),
      clean_labels=np.array(['a', '', 'c', 'b']),
      test_images=colour[:2],
      test_labels=np.array([b'c', b'a']),
    )
  )
  assert data.info.image_shape == (8, 8, 3)
  assert data.info.class_names == ('a', 'b', 'c')
  assert data.train.clean_label.tolist() == [0, -1, 2, 1]
  assert data.test.label.tolist() == [2, 0]
  assert data.summary['warnings'] == [
    "1 class with no training example: 'c'",
    'test images that are copies of training images: 2, such as 0 of 0',
  ]


@pytest.mark.parametrize(
  ('images', 'expected', 'note'),
  [
    (np.array([0, 0.2, 1], np.float32), [0, 51, 255], 'multiplied by 255'),
    (np.array([0, 0.6, 254.6], np.float64), [0, 1, 255], 'rounded'),
    (np.array([0, 0.5, 1], np.float16), [0, 128, 255], 'multiplied by 255'),
    (np.array([0, 1, 255], np.int64), [0, 1, 255], None),
    (np.array([False, True, True]), [0, 255, 255], 'multiplied by 255'),
  ],
)
def test_pixels_become_bytes(images, expected, note, save):
  pixels = np.tile(images[:, None, None], (1, 8, 8))
  data = read(save(images=pixels, labels=[0, 1, 1]))
  assert data.train.image[:, 0, 0, 0].tolist() == expected
  notes = data.summary['notes']
  assert notes == ([f'3 images of {images.dtype}, {note}'] if note else [])


def test_images_are_resized_where_asked(save):
  data = read(save(images=IMAGES, labels=LABELS), image_size=16)
  assert data.info.image_shape == (16, 16, 1)
  assert data.summary['notes'] == ['4 images resized to 16 x 16 pixels']


REFUSED = [
  ({'labels': LABELS}, "lacks the array 'images'"),
  ({'images': IMAGES}, "lacks the array 'labels'"),
  ({'labels': LABELS[:3]}, '4 images and 3 labels'),
  ({'labels': np.zeros(4, int)}, "training split has 1 class, '0'"),
  ({'labels': np.eye(4)}, 'are of shape [4, 4]: give [N]'),
  ({'labels': [0.5, 1, 2, 3]}, 'are not whole numbers'),
  ({'labels': [np.nan, 1, 2, 3]}, 'are not whole numbers'),
  ({'labels': [1e300, 1, 2, 3]}, 'are not whole numbers'),
  ({'labels': np.array([1j] * 4)}, 'are of type complex128'),
  ({'labels': np.array([0, 1, 1, 'x'], object)}, 'Python objects'),
  ({'images': IMAGES[:, :0]}, 'are of shape [4, 0, 8]'),
  ({'images': IMAGES[0, 0]}, 'are of shape [8]'),
  ({'images': np.zeros((4, 3, 8, 8))}, 'np.moveaxis(images, 1, 3)'),
  ({'images': IMAGES.astype(np.float32) * np.nan}, 'have pixels from nan'),
  ({'images': IMAGES - 300.0}, 'have pixels from -300'),
  ({'images': IMAGES.astype(int) * 9}, 'to 2295'),
  ({'images': np.full((4, 8, 8), 'a')}, 'are of type <U1'),
  ({'test_images': IMAGES}, 'give test_images and test_labels, or neither'),
  (
    {'test_images': IMAGES[:, :4], 'test_labels': LABELS},
    'images are [4, 8, 8, 1] and test_images [4, 4, 8, 1]',
  ),
  ({'clean_labels': LABELS[:2]}, '4 labels and 2 clean_labels'),
]


@pytest.mark.faults
@pytest.mark.parametrize(('changes', 'message'), REFUSED)
def test_what_cannot_be_used_is_refused(changes, message, save):
  alone = len(changes) == 1 and ('lacks' in message)
  arrays = changes if alone else {'images': IMAGES, 'labels': LABELS} | changes
  assert message in told(read, save(**arrays))


class Opens:
  """Makes a file when it is unpickled."""

  def __init__(self, path):
    self.path = str(path)

  def __reduce__(self):
    return pathlib.Path.touch, (pathlib.Path(self.path),)


@pytest.mark.faults
def test_nothing_in_it_is_executed(tmp_path, save):
  marker = tmp_path / 'executed'
  path = save(images=IMAGES, labels=np.array([Opens(marker)] * 4, object))
  assert 'could run code' in told(read, path)
  assert not marker.exists()


@pytest.mark.faults
def test_what_is_no_npz_is_refused(tmp_path):
  path = tmp_path / 'own.npz'
  for content in (b'', b'PK\x03\x04', b'text'):
    path.write_bytes(content)
    assert 'is no .npz that can be read' in told(read, path)
  with open(path, 'wb') as file:
    np.save(file, IMAGES)
  assert 'is no .npz that can be read' in told(read, path)


@pytest.mark.faults
def test_an_array_that_says_it_is_huge_is_refused(tmp_path):
  made = io.BytesIO()
  header = {'descr': '|u1', 'fortran_order': False, 'shape': (10**9, 10**5)}
  np.lib.format.write_array_header_1_0(made, header)
  with zipfile.ZipFile(tmp_path / 'own.npz', 'w') as file:
    file.writestr('images.npy', made.getvalue())
    file.writestr('labels.npy', made.getvalue())
  assert 'is no .npz that can be read' in told(read, tmp_path / 'own.npz')


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
def test_labels_may_be_floats_that_are_whole(dtype, tmp_path, cache):
  path = tmp_path / 'own.npz'
  labels = np.array([0, 1, 1], dtype)
  np.savez(path, images=np.zeros((3, 2, 2), np.uint8), labels=labels)
  assert read(path).train.label.tolist() == [0, 1, 1]


# Of three examples, some of which make a data set.
PLAIN = st.builds(
  lambda shape, dtype: np.arange(np.prod(shape)).reshape(shape).astype(dtype),
  st.sampled_from([(3, 2, 2), (3, 3, 3, 1)]),
  st.sampled_from(['uint8', 'int64', 'bool', 'float32']),
)
FITTING = st.builds(
  lambda labels, dtype: np.array(labels).astype(dtype),
  st.sampled_from([[0, 1, 2], [1, 1, 0], [-1, 5, 5], [3, 3, 3]]),
  st.sampled_from(['uint8', 'int64', '<U2', 'bool', 'float16']),
)


@pytest.mark.faults
@odd.HOW_MANY
def test_odd_arrays_are_used_or_refused(examples, save, tmp_path, cache):
  def check(arrays):
    path = save(**arrays)
    odd.check(lambda: read(path), tmp_path, cache)

  images, labels = st.one_of(odd.ARRAYS, PLAIN), st.one_of(odd.ARRAYS, FITTING)
  more = {'clean_labels': labels, 'test_images': PLAIN, 'test_labels': labels}
  strategy = st.one_of(
    st.fixed_dictionaries({'images': PLAIN, 'labels': FITTING}),
    st.fixed_dictionaries(
      {'images': PLAIN, 'labels': FITTING, 'clean_labels': labels}
    ),
    st.fixed_dictionaries({'images': images, 'labels': labels}, optional=more),
  )
  odd.for_all(strategy, check, examples)


@pytest.mark.faults
@odd.HOW_MANY
def test_damaged_files_are_used_or_refused(examples, save, tmp_path, cache):
  def check(damage):
    place, byte, end = damage
    path = save(images=IMAGES, labels=LABELS)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = byte
    path.write_bytes(bytes(content[: max(len(content) - end * (end % 2), 1)]))
    odd.check(lambda: read(path), tmp_path, cache)

  places = st.integers(0, 2000)
  odd.for_all(st.tuples(places, st.integers(0, 255), places), check, examples)
