"""An exported network gives its run's probabilities, or says why not."""

from unittest import mock

import jax
from jax import export as jax_export
import numpy as np
import pytest

import sce_jax
from sce_jax import inference
from tests.data.reading import told
from tests.export.exported import IMAGES, RTOL, change, check


def test_an_export_gives_the_probabilities_of_its_run(plain):
  model = sce_jax.load(plain.folder)
  check(model, plain.expected)
  np.testing.assert_array_equal(
    model.predict(IMAGES), plain.expected.argmax(axis=1)
  )
  assert model.predict_proba(IMAGES[:0]).shape == (0, 10)
  many = np.concatenate([IMAGES] * 40)  # More than are computed at a time.
  np.testing.assert_allclose(
    model.predict_proba(many)[-7:], plain.expected, rtol=RTOL
  )
  assert model.classes == tuple('0123456789')


def test_so_does_one_of_several_networks_with_winograds_products(
  several, capsys
):
  check(sce_jax.load(several.folder), several.expected)
  assert capsys.readouterr().out == ''


@pytest.mark.parametrize('which', ['plain', 'several'])
def test_a_foreign_program_is_replaced_by_the_parameters(
  which, request, tmp_path, capsys
):
  exported = request.getfixturevalue(which)
  copy = exported.copy(tmp_path)
  (copy / 'model.jax_export').write_bytes(b'of another network')
  check(sce_jax.load(copy), exported.expected)
  (line,) = capsys.readouterr().out.splitlines()
  assert line.startswith(f'{copy / "model.jax_export"} cannot be used here (')
  assert 'is not the file that was exported (18 bytes)' in line


def program(shape, platform):
  (size,) = jax_export.symbolic_shape('n')
  images = jax.ShapeDtypeStruct((size, *shape), np.uint8)
  exported = jax_export.export(jax.jit(lambda x: x), platforms=[platform])
  return exported(images).serialize()


@pytest.mark.parametrize(
  ('spoilt', 'reason'),
  [
    (lambda found: found[:-100], 'unpack_from'),
    (lambda _: program(IMAGES.shape[1:], 'tpu'), 'exported for platforms'),
    (lambda _: program((7, 7, 1), 'cpu'), 'Shape mismatch'),
    (None, 'it has expired'),
  ],
  ids=['cut', 'another device', 'another size', 'expired'],
)
def test_so_is_one_that_cannot_run_here(
  spoilt, reason, plain, tmp_path, capsys, monkeypatch
):
  copy = plain.copy(tmp_path)
  file = copy / 'model.jax_export'
  if spoilt is None:
    expired = mock.Mock(side_effect=ValueError('it has expired'))
    monkeypatch.setattr(jax_export, 'deserialize', expired)
  else:
    file.write_bytes(spoilt(file.read_bytes()))
    sums = inference.read_description(copy)['sha256']
    sums['model.jax_export'] = inference.checksum(file.read_bytes())
    change(copy, sha256=sums)
  found = sce_jax.load(copy).predict_proba(IMAGES)
  np.testing.assert_allclose(found, plain.expected, rtol=RTOL)
  (line,) = capsys.readouterr().out.splitlines()
  assert reason in line


def test_what_is_no_export_is_refused(plain, tmp_path):
  assert 'holds no exported network' in told(sce_jax.load, tmp_path / 'no')
  assert 'holds no exported network' in told(sce_jax.load, plain.run)
  file = plain.folder / 'model.json'
  assert 'holds no exported network' in told(sce_jax.load, file)
  copy = plain.copy(tmp_path)
  change(copy, sce_jax_format=7)
  assert 'another version of sce_jax (format 7' in told(sce_jax.load, copy)
  change(copy, sce_jax_format=1, network={'name': 'digits_cnn', 'more': 1})
  (copy / 'model.jax_export').unlink()
  assert 'this version of sce_jax lacks (' in told(sce_jax.load, copy)
  for content, reason in (
    ('{"sce_ja', 'is damaged (Unterminated'),
    ('{"sce_jax_format": 1}', "is damaged (it lacks 'classes')"),
    ('[1]', 'is not of an exported network'),
    ('{"model_type": "bert"}', 'is not of an exported network'),
  ):
    (copy / 'model.json').write_text(content)
    assert reason in told(sce_jax.load, copy)


@pytest.mark.faults
def test_damaged_files_are_refused(plain, tmp_path):
  copy = plain.copy(tmp_path)
  file = copy / 'model.json'
  described = file.read_text()
  file.write_text(described.replace('"classes": [', '"classes": ["x", '))
  assert 'damaged (its content has another digest' in told(sce_jax.load, copy)
  file.write_text(described)
  file = copy / 'model.safetensors'
  content = bytearray(file.read_bytes())
  content[-10] ^= 1  # Nothing but a checksum tells.
  file.write_bytes(content)
  assert 'is not the file that was exported' in told(sce_jax.load, copy)
  file.unlink()
  assert 'cannot be read (No such file' in told(sce_jax.load, copy)


@pytest.mark.parametrize(
  'images', [IMAGES.astype(np.float32), IMAGES[:, :7], IMAGES[..., [0, 0]]]
)
def test_images_of_another_shape_or_type_are_refused(images, plain):
  model = sce_jax.load(plain.folder)
  assert 'takes uint8 images [N, 8, 8, 1]' in told(model.predict, images)


def test_an_unknown_name_of_the_package_is_an_error():
  with pytest.raises(AttributeError, match="no attribute 'nope'"):
    _ = sce_jax.nope
