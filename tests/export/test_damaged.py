"""Exported networks that are damaged in drawn ways: used, or one line."""

import dataclasses
import json
import pathlib
from unittest import mock

from hypothesis import strategies as st
import jax
import numpy as np
from PIL import Image
import pytest
from safetensors import numpy as safetensors

from sce_jax import inference
from tests.data.sources import damaged, odd
from tests.export.exported import IMAGES


@dataclasses.dataclass(frozen=True)
class Tensors:
  """The parameters with another bias."""

  array: np.ndarray

  def __call__(self, content: bytes) -> bytes:
    tensors = safetensors.load(content)
    name = next(x for x in sorted(tensors) if x.endswith('bias'))
    return safetensors.save(tensors | {name: self.array})


_BIASES = st.builds(
  lambda shape, kind: np.ones(shape, kind),
  st.sampled_from([(), (0,), (3,), (10,), (16,), (10, 1), (2, 10)]),
  st.sampled_from(['float32', 'float64', 'float16', 'int8', 'bool', 'uint64']),
)
# Of the parameters also such as have the checksum of what they have become.
DAMAGES = {
  'model.json': damaged.JSON,
  'model.safetensors': damaged.BYTES,
  'model.safetensors, with its checksum': st.one_of(
    damaged.BYTES, st.builds(Tensors, _BIASES)
  ),
  'model.jax_export': damaged.BYTES,
}


@odd.HOW_FEW
@pytest.mark.parametrize('name', DAMAGES)
def test_damaged_exports_are_used_or_refused(name, examples, plain, tmp_path):
  folder = plain.copy(tmp_path)
  file, _, has_its_checksum = name.partition(',')
  photos = tmp_path / 'photos'
  photos.mkdir()
  Image.fromarray(IMAGES[0, ..., 0]).save(photos / 'one.png')
  checksum = inference.checksum
  if has_its_checksum:
    (folder / 'model.jax_export').unlink()
    told = json.loads((folder / 'model.json').read_bytes())['sha256'][file]
    checksum = mock.Mock(return_value=told)

  def read():
    model = inference.load(folder)
    for names, images in model.images(photos).chunks(2):
      assert len(names) == len(images) == 1
    if file != 'model.jax_export':  # That would be compiled each time.
      found = model.predict_proba(IMAGES)
      assert found.shape == (len(IMAGES), len(model.classes))
      assert found.dtype == np.float32
    return model

  with mock.patch.object(inference, 'checksum', checksum):
    odd.check_file(
      folder / file,
      DAMAGES[name],
      read,
      examples,
      names=str(tmp_path),
      # Where compiled programs are kept.
      allowed=pathlib.Path(jax.config.jax_compilation_cache_dir or 'none'),
    )
