import numpy as np
import pytest

from sce_jax.data import label_files
from tests.noise.errors import refuses

_IDS = np.array([7, 3, 2**40])
_LABELS = np.array([1, 0, 9], np.uint8)
_CLEAN = np.array([1, 2, 9], np.int16)


def test_plain_numpy_reads_it(tmp_path):
  path = tmp_path / 'labels.npz'
  label_files.save_npz(path, _IDS, _LABELS, _CLEAN)
  with np.load(path, allow_pickle=False) as file:
    assert sorted(file) == ['clean_labels', 'ids', 'labels']
    for name, array, dtype in [
      ('ids', _IDS, np.int64),
      ('labels', _LABELS, np.int32),
      ('clean_labels', _CLEAN, np.int32),
    ]:
      np.testing.assert_array_equal(file[name], array)
      assert file[name].dtype == dtype


def test_loads_what_it_saved(tmp_path):
  path = str(tmp_path / 'labels.npz')
  label_files.save_npz(path, _IDS[:1], _LABELS[:1], _CLEAN[:1])
  label_files.save_npz(path, _IDS, _LABELS, _CLEAN)
  loaded = label_files.load_npz(path)
  for got, array in zip(loaded, (_IDS, _LABELS, _CLEAN), strict=True):
    np.testing.assert_array_equal(got, array)
  assert loaded.labels.dtype == loaded.clean_labels.dtype == np.int32
  assert loaded.ids.dtype == np.int64


def test_loads_what_another_program_saved(tmp_path):
  path = tmp_path / 'labels.npz'
  np.savez(path, ids=_IDS, labels=_LABELS, clean_labels=_CLEAN, extra=_IDS)
  np.testing.assert_array_equal(label_files.load_npz(path).labels, _LABELS)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
  tmp_path, monkeypatch
):
  path = tmp_path / 'labels.npz'
  label_files.save_npz(path, _IDS, _LABELS, _CLEAN)

  def fail(file, **arrays):
    file.write(b'half of a file')
    raise OSError('disk full')

  monkeypatch.setattr(np, 'savez_compressed', fail)
  with pytest.raises(OSError, match='disk full'):
    label_files.save_npz(path, _IDS, _CLEAN, _CLEAN)
  assert list(tmp_path.iterdir()) == [path]
  np.testing.assert_array_equal(label_files.load_npz(path).labels, _LABELS)


def test_refuses_to_save_what_it_could_not_load(tmp_path):
  path = tmp_path / 'labels.npz'
  save = label_files.save_npz
  twice = np.array([7, 7, 3])
  refuses('ids must be unique', save, path, twice, _LABELS, _CLEAN)
  refuses('labels must be a', save, path, _IDS, _LABELS[:2], _CLEAN)
  refuses('clean labels must be a', save, path, _IDS, _LABELS, _CLEAN / 2)
  refuses(
    "as .npz, not as 'labels.npy'",
    save,
    tmp_path / 'labels.npy',
    _IDS,
    _LABELS,
    _CLEAN,
  )
  assert not list(tmp_path.iterdir())


def test_refuses_to_load_other_files(tmp_path):
  path = tmp_path / 'labels.npz'
  np.savez(path, ids=_IDS)
  refuses('lacks labels, clean_labels: a file of', label_files.load_npz, path)
  np.savez(path, ids=_IDS, labels=_LABELS, clean_labels=_CLEAN[:1])
  refuses("labels.npz': clean labels must be a", label_files.load_npz, path)
