"""Crops of stored JPEGs: which pixels they have."""

import numpy as np
import pytest
from scipy import stats

from sce_jax.data import crops
from tests.data import jpegs

# A gradient in full resolution loses about this to a JPEG.
CLOSE = 3


def rng(seed=0):
  return np.random.default_rng(seed)


def corner(image):
  """Where a crop was taken from a `smooth` image."""
  return tuple(np.rint(image[0, 0, :2] / 2).astype(int).tolist())


def check_is_part(image, whole):
  top, left = corner(image)
  height, width = image.shape[:2]
  part = whole[top : top + height, left : left + width].astype(int)
  assert np.abs(part - image).max() <= 2 * CLOSE


def test_the_center_is_in_the_middle():
  whole = jpegs.smooth(40, 61)
  image = crops.center(jpegs.jpeg(whole), 32)
  assert image.shape == (32, 32, 3)
  assert image.dtype == np.uint8
  # (40 - 32) // 2 and (61 - 32) // 2.
  difference = whole[4:36, 14:46].astype(int) - image
  assert np.abs(difference).max() <= CLOSE


def test_random_crops_reach_every_corner_and_are_not_resized():
  whole = jpegs.smooth(33, 34)
  content = jpegs.jpeg(whole)
  seen = set()
  for seed in range(60):
    image = crops.random(content, 32, rng(seed))
    assert image.shape == (32, 32, 3)
    check_is_part(image, whole)
    seen.add(corner(image))
  assert seen == {(top, left) for top in range(2) for left in range(3)}


@pytest.mark.parametrize('crop', list(crops.CROPS))
def test_what_is_too_small_is_enlarged(crop):
  content = jpegs.jpeg(jpegs.smooth(20, 24, blue=90))
  image = crops.CROPS[crop](content, 32, rng())
  assert image.shape == (32, 32, 3)
  assert np.abs(image[..., 2].astype(int) - 90).max() <= CLOSE


def test_resized_crops_have_the_areas_and_aspects_of_imagenet(monkeypatch):
  whole = jpegs.smooth(100, 120)
  monkeypatch.setattr(crops.simplejpeg, 'decode_jpeg', lambda _: whole)
  areas, aspects, one = [], [], rng()
  for _ in range(800):
    image = crops.resized(b'', 32, one).astype(float)
    # The gradient tells how many rows and columns a pixel stands for.
    height, width = (
      np.ptp(np.median(image[..., k], axis=1 - k)) / 2 * 32 / 31
      for k in range(2)
    )
    areas.append(height * width / (100 * 120))
    aspects.append(width / height)
  assert 0.07 < min(areas) < 0.10
  assert 0.9 < max(areas) < 1.02
  # 0.461 and 0.025 are the means of 20,000 draws of this rule, made apart:
  # the largest areas seldom fit, and the image is wider than high.
  assert np.mean(areas) == pytest.approx(0.461, abs=0.04)
  assert 0.7 < min(aspects) < 0.8
  assert 1.25 < max(aspects) < 1.4
  assert np.mean(np.log(aspects)) == pytest.approx(0.025, abs=0.03)


def test_aspects_are_uniform_by_their_logarithm(monkeypatch):
  whole = np.zeros((1000, 1200, 3), np.uint8)
  monkeypatch.setattr(crops.simplejpeg, 'decode_jpeg', lambda _: whole)
  parts, one = [], rng()

  def resize(image, height, width):
    parts.append(image.shape[:2])
    return image

  monkeypatch.setattr(crops, '_resize', resize)
  for _ in range(4000):
    crops.resized(b'', 32, one)
  height, width = np.array(parts).T
  area, aspect = height * width / whole[..., 0].size, width / height
  # Below 0.62 of the area every aspect fits, so that all are as likely.
  fits = area < 0.6
  assert fits.sum() > 2000
  found = stats.kstest(area[fits], stats.uniform(0.08, 0.52).cdf)
  assert found.pvalue > 1e-4
  reach = np.log(4 / 3)
  found = stats.kstest(
    np.log(aspect[fits]), stats.uniform(-reach, 2 * reach).cdf
  )
  assert found.pvalue > 1e-4


def test_what_no_draw_fits_is_cropped_in_the_middle():
  # Ten times as wide as high: no area and aspect fit but small ones.
  whole = jpegs.smooth(12, 120)
  images = [crops.resized(jpegs.jpeg(whole), 12, rng(s)) for s in range(30)]
  middle = crops.center(jpegs.jpeg(whole), 12)
  assert any(np.array_equal(image, middle) for image in images)


@pytest.mark.parametrize('content', [b'', b'no JPEG', b'\xff\xd8\xff\xe0cut'])
def test_what_is_no_jpeg_is_an_error(content):
  with pytest.raises(ValueError):
    crops.center(content, 32)
