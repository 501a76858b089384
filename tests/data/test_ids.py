"""Ids of examples: what number each becomes, what is refused."""

import hashlib

import numpy as np
import pytest

from sce_jax import noise
from sce_jax.data import ids


def hashed(text):
  """The first 63 bits of BLAKE2b's 64."""
  return int(hashlib.blake2b(text.encode(), digest_size=8).hexdigest(), 16) // 2


@pytest.mark.parametrize(
  ('value', 'number'),
  [
    (0, 0),
    (np.int32(7), 7),
    (np.int64(5_000_000_000), 5_000_000_000),
    (np.uint64(2**63 - 1), 2**63 - 1),
    (-3, -3),
    (5e9, 5_000_000_000),
    (np.float32(3.0), 3),
    ('16399', 16399),
    ('00042', 42),
    (b'train_16399', 16399),
    ('test_00012', 12),
    ('validation_3', 3),
    ('00000000-ab', hashed('00000000-ab')),
    (b'0.png', hashed('0.png')),
    ('0.png', 5276155199410853889),
    ('cat_1', hashed('cat_1')),
    ('', hashed('')),
    ('ä', hashed('ä')),
    (2.5, hashed('2.5')),
    (2**70, hashed(str(2**70))),
    ('9' * 5000, hashed('9' * 5000)),
    (np.uint64(2**63), hashed(str(2**63))),
  ],
)
def test_an_id_becomes_a_number(value, number):
  # Whatever stands beside it.
  for others in ([], ['another', 99]):
    assert ids.to_numbers([*others, value])[-1] == number
  assert ids.to_numbers([value]).dtype == np.int64


def test_bytes_need_be_no_text():
  (number,) = ids.to_numbers([b'\xff\xfe'])
  assert 0 <= number < 2**63


def test_arrays_are_taken_too():
  for dtype in (np.int32, np.int64, np.uint8):
    assert ids.to_numbers(np.array([3, 1], dtype)).tolist() == [3, 1]
  assert ids.to_numbers(np.array(['3', 'train_1'])).tolist() == [3, 1]
  with pytest.raises(ValueError, match=r'of shape \[N\], not \[2, 1\]'):
    ids.to_numbers(np.array([[3], [1]]))


@pytest.mark.parametrize(
  'different', [['1', 'train_1', '2'], ['train_5', 'test_5'], ['07', '7']]
)
def test_different_ids_never_share_a_number(different):
  assert ids.to_numbers(different).tolist() == [hashed(x) for x in different]


@pytest.mark.parametrize('wrap', [list, np.array])
@pytest.mark.parametrize(
  ('twice', 'shown'),
  [
    ([4, 9, 9, 4], '4'),
    (['a', 'b', 'b', 'a'], "'a'"),
    (['1', 'x', 'y', '1'], "'1'"),
  ],
)
def test_an_id_that_stands_twice_is_named(twice, shown, wrap):
  with pytest.raises(
    ValueError, match=f'id {shown} stands twice, at places 0 and 3'
  ):
    ids.to_numbers(wrap(twice))


def test_equal_hashes_are_not_silent(monkeypatch):
  monkeypatch.setattr(ids, '_hash', lambda text: 5)
  with pytest.raises(ValueError, match="ids 'a' and 'b' have the same hash"):
    ids.to_numbers(['a', 'b'])


def test_noise_of_an_example_is_that_of_its_number():
  names = ['train_3', '0.png', 'train_1', 'ab-7']
  numbers = ids.to_numbers(names)
  assert numbers.tolist() == [3, hashed('0.png'), 1, hashed('ab-7')]
  labels = np.array([0, 1, 2, 0])
  drawn = noise.corrupt(
    labels, noise.symmetric(3, 0.5), seed=1, mode='iid', ids=numbers
  )
  alone = [
    noise.corrupt(
      labels[i : i + 1],
      noise.symmetric(3, 0.5),
      seed=1,
      mode='iid',
      ids=ids.to_numbers(names[i : i + 1]),
    )[0]
    for i in range(4)
  ]
  assert drawn.tolist() == alone
