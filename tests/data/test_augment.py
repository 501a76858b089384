"""Augmentation against NumPy, for draws given by hand."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from sce_jax.data import augment

OFF = augment.AugmentConfig(
  pad_crop=0, shift=0.0, rotate=0.0, flip=False, fill='black'
)
ALL = augment.AugmentConfig(
  pad_crop=4, shift=0.2, rotate=20.0, flip=True, fill='black'
)
IMAGES = jax.random.uniform(jax.random.key(0), (3, 5, 5, 2), minval=0.1)


def draws(**given):
  n = len(IMAGES)
  values = {
    'crop': jnp.zeros((n, 2), jnp.int32),
    'shift': jnp.zeros((n, 2)),
    'angle': jnp.zeros(n),
    'flip': jnp.zeros(n, bool),
  }
  return augment.AugmentParams(**(values | given))


@pytest.mark.parametrize(
  ('fill', 'mode'), [('black', 'constant'), ('nearest', 'edge')]
)
def test_crops_are_cut_from_the_padded_image(fill, mode):
  corners = np.array([[0, 0], [4, 1], [2, 2]])
  actual = augment.apply(
    IMAGES, draws(crop=jnp.array(corners)), replace(OFF, pad_crop=2, fill=fill)
  )
  padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)), mode)
  for i, (row, column) in enumerate(corners):
    np.testing.assert_array_equal(
      actual[i], padded[i, row : row + 5, column : column + 5]
    )


def test_flips_mirror_left_to_right():
  flip = jnp.array([True, False, True])
  actual = augment.apply(IMAGES, draws(flip=flip), replace(OFF, flip=True))
  np.testing.assert_array_equal(actual[0], np.asarray(IMAGES)[0, :, ::-1])
  np.testing.assert_array_equal(actual[1], IMAGES[1])


def test_whole_shifts_move_down_and_to_the_right():
  shift = jnp.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
  actual = augment.apply(IMAGES, draws(shift=shift), replace(OFF, shift=0.4))
  x = np.asarray(IMAGES)
  # Bilinear at whole pixels: up to float32's rounding.
  np.testing.assert_allclose(actual[0, 1:], x[0, :-1], atol=1e-6)
  np.testing.assert_allclose(actual[0, 0], 0, atol=1e-6)
  np.testing.assert_allclose(actual[1, :, 2:], x[1, :, :-2], atol=1e-6)
  np.testing.assert_allclose(actual[2], x[2], atol=1e-6)


def test_nearest_repeats_the_border():
  shift = jnp.array([[2.0, 0.0]] * 3)
  options = replace(OFF, shift=0.4, fill='nearest')
  actual = augment.apply(IMAGES, draws(shift=shift), options)
  for row in range(3):
    np.testing.assert_allclose(actual[:, row], IMAGES[:, 0], atol=1e-6)


def test_half_a_pixel_is_the_mean_of_two():
  shift = jnp.array([[0.5, 0.0]] * 3)
  actual = augment.apply(IMAGES, draws(shift=shift), replace(OFF, shift=0.4))
  np.testing.assert_allclose(
    actual[:, 1:], (IMAGES[:, 1:] + IMAGES[:, :-1]) / 2, atol=1e-6
  )


def test_a_quarter_turn_is_numpys():
  angle = jnp.full(3, jnp.pi / 2)
  actual = augment.apply(IMAGES, draws(angle=angle), replace(OFF, rotate=90.0))
  # The corners lie on the image's edge, so a rounding error may black them.
  expected = np.rot90(IMAGES, axes=(1, 2))
  np.testing.assert_allclose(
    actual[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], atol=1e-5
  )


def test_what_is_off_changes_nothing():
  some = augment.sample_params(
    jax.random.key(1), 3, (5, 5, 2), replace(OFF, pad_crop=1)
  )
  np.testing.assert_array_equal(augment.apply(IMAGES, some, OFF), IMAGES)


def test_draws_keep_to_their_bounds_and_reach_them():
  d = augment.sample_params(jax.random.key(0), 5000, (32, 16, 3), ALL)
  assert (int(d.crop.min()), int(d.crop.max())) == (0, 8)
  reach = jnp.abs(d.shift).max(0)
  # The largest of 5000 uniform draws lies within 1 % of the bound.
  np.testing.assert_allclose(reach, [6.4, 3.2], rtol=0.01)
  assert float(jnp.abs(d.angle).max()) == pytest.approx(
    np.deg2rad(20), rel=0.01
  )
  # Five standard deviations of a fair coin's mean.
  assert float(d.flip.mean()) == pytest.approx(0.5, abs=0.036)


def test_draws_are_independent():
  def draw(seed):
    return augment.sample_params(jax.random.key(seed), 1000, (32, 16, 3), ALL)

  columns = [
    np.asarray(x, np.float64)
    for d in (draw(0), draw(1))
    for x in (*d.crop.T, *d.shift.T, d.angle, d.flip)
  ]
  off_diagonal = np.corrcoef(columns) - np.eye(12)
  # Five deviations of the correlation of 1000 independent pairs.
  assert np.abs(off_diagonal).max() < 5 / 1000**0.5
  # They go both ways, about evenly.
  for x in columns[2:5]:
    assert np.mean(x > 0) == pytest.approx(0.5, abs=5 * 0.5 / 1000**0.5)


def test_a_share_looks_as_it_does_in_the_whole_batch():
  options = replace(ALL, pad_crop=1)
  drawn = augment.sample_params(jax.random.key(0), 8, (5, 5, 2), options)
  images = jnp.concatenate([IMAGES] * 3)[:8]
  whole = jax.jit(lambda i, d: augment.apply(i, d, options))(images, drawn)
  for share in (slice(0, 2), slice(6, 8)):
    part = augment.apply(
      images[share], jax.tree.map(lambda x, s=share: x[s], drawn), options
    )
    # The same operations, compiled otherwise.
    np.testing.assert_allclose(part, whole[share], atol=1e-6)


@pytest.mark.parametrize(
  ('fill', 'mode'), [('black', 'grid-constant'), ('nearest', 'nearest')]
)
def test_turns_and_shifts_against_scipy(fill, mode):
  angle, shift = np.array([0.3, -1.2, 2.0]), np.array([[1.3, -0.4]] * 3)
  drawn = draws(angle=jnp.float32(angle), shift=jnp.float32(shift))
  actual = augment.apply(
    IMAGES, drawn, replace(ALL, pad_crop=0, flip=False, fill=fill)
  )
  centre = np.array([2.0, 2.0])
  for i in range(3):
    # From a place in the result to its place in the image: first back by the
    # shift, then turned about the centre.
    sin, cos = np.sin(angle[i]), np.cos(angle[i])
    matrix = np.array([[cos, sin], [-sin, cos]])
    offset = centre - matrix @ (centre + shift[i])
    for channel in range(2):
      expected = ndimage.affine_transform(
        np.asarray(IMAGES[i, :, :, channel], np.float64),
        matrix,
        offset,
        order=1,
        mode=mode,
      )
      # float32's rounding of coordinates of order 1.
      np.testing.assert_allclose(actual[i, :, :, channel], expected, atol=1e-5)


def test_crops_are_cut_before_images_are_flipped():
  drawn = draws(crop=jnp.array([[2, 1]] * 3), flip=jnp.ones(3, bool))
  actual = augment.apply(IMAGES, drawn, replace(OFF, pad_crop=1, flip=True))
  cut = np.zeros(IMAGES.shape)
  cut[:, :4] = IMAGES[:, 1:]
  np.testing.assert_array_equal(actual, np.float32(cut[:, :, ::-1]))


@pytest.mark.parametrize('fill', augment.FILLS)
def test_what_tpus_compute_is_the_same(fill):
  """The forms without slices and gathers, which only TPUs are given."""
  drawn = augment.sample_params(jax.random.key(2), 3, (5, 5, 2), ALL)
  crops = [
    augment.pad_crop(IMAGES, drawn.crop, pad=4, fill=fill, by_selects=selects)
    for selects in (False, True)
  ]
  np.testing.assert_array_equal(*crops)
  for angle, by_products in (
    (drawn.angle, augment.rotate_by_products),
    (0 * drawn.angle, augment.shift_by_products),
  ):
    # Of shifts past the border, too.
    moved = [
      move(IMAGES, angle, 4 * drawn.shift, fill=fill)
      for move in (augment.rotate_and_shift, by_products)
    ]
    # float32's rounding of coordinates of order 10.
    np.testing.assert_allclose(*moved, atol=1e-5)


def test_a_tpu_is_given_no_gather():
  """Nor slices that differ between the examples."""
  options = replace(ALL, fill='nearest')
  drawn = augment.sample_params(jax.random.key(2), 3, (5, 5, 2), options)
  program = jax.jit(lambda i, d: augment.apply(i, d, options))
  traced = program.trace(IMAGES, drawn)
  found = {
    platform: 'gather' in traced.lower(lowering_platforms=(platform,)).as_text()
    for platform in ('cpu', 'cuda', 'tpu')
  }
  assert found == {'cpu': True, 'cuda': True, 'tpu': False}


def test_nothing_drawn_changes_nothing():
  """Neither the middle crop, nor a shift or a turn by nothing."""
  drawn = draws(crop=jnp.full((3, 2), 4))
  actual = augment.apply(IMAGES, drawn, ALL)
  # Bilinear at whole pixels: up to float32's rounding.
  np.testing.assert_allclose(actual, IMAGES, atol=1e-6)
