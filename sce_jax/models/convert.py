"""Makes a safetensors file of a PyTorch checkpoint.

  python sce_jax/models/convert.py resnet50-0676ba61.pth resnet50.safetensors

Needs torch and safetensors alone, so that torch stays out of the environment
that trains. Nothing in the checkpoint is executed (weights_only=True). Names
and values are kept, floats as float32; torch_names.py translates the names.
"""

import hashlib
import os
import pathlib
import pickle
import sys
from typing import Any

# Entries under which training programs keep the parameters.
_NESTED = ('state_dict', 'model_state_dict', 'model')
# Metadata of the file made: what it was made of.
SOURCE, SOURCE_SHA256 = 'source', 'source_sha256'


def convert(checkpoint: pathlib.Path, out: pathlib.Path) -> int:
  """Writes the tensors of a checkpoint; the file appears whole or not at all.

  Args:
    checkpoint: a .pth, .pt or .bin file of torch.save.
    out: the file to write.

  Returns:
    The number of tensors.

  Raises:
    ValueError: it holds anything else than named tensors.
    OSError: a file cannot be read or written.
  """
  from safetensors import numpy as safetensors  # noqa: PLC0415
  import torch  # noqa: PLC0415  Only this step needs it.

  digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
  try:
    found: Any = torch.load(checkpoint, map_location='cpu', weights_only=True)
  except pickle.UnpicklingError:  # Whose many lines advise to execute it.
    raise ValueError(
      f'{checkpoint} holds other objects than tensors, which are not executed:'
      ' save a state_dict() with torch.save'
    ) from None
  except (RuntimeError, EOFError) as error:
    raise ValueError(
      f'{checkpoint} cannot be read ({" ".join(str(error).split())[:200]}):'
      ' download it again'
    ) from None
  for name in _NESTED:
    if isinstance(found, dict) and isinstance(found.get(name), dict):
      found = found[name]
      break
  is_named = isinstance(found, dict) and all(isinstance(x, str) for x in found)
  if not is_named or not all(torch.is_tensor(x) for x in found.values()):
    raise ValueError(
      f'{checkpoint} is no state_dict, names with tensors: save one with'
      ' torch.save'
    )
  tensors = {
    name: (x.float() if x.is_floating_point() else x).contiguous().numpy()
    for name, x in found.items()
  }
  metadata = {SOURCE: checkpoint.name, SOURCE_SHA256: digest}
  temporary = out.with_name(f'.{out.name}.{os.getpid()}')
  try:
    temporary.write_bytes(safetensors.save(tensors, metadata))
    os.replace(temporary, out)
  finally:
    temporary.unlink(missing_ok=True)
  return len(tensors)


def main(arguments: list[str]) -> None:
  """Converts; exits with one line if it cannot."""
  if len(arguments) != 2:
    sys.exit('usage: convert.py CHECKPOINT.pth OUT.safetensors')
  checkpoint, out = map(pathlib.Path, arguments)
  try:
    count = convert(checkpoint, out)
  except ModuleNotFoundError as error:
    sys.exit(f'error: {error.name} is not installed: pip install {error.name}')
  except OSError as error:
    sys.exit(f'error: {error.filename or out}: {error.strerror or error}')
  except ValueError as error:
    sys.exit(f'error: {error}')
  print(f'{out}: {count} tensors')


if __name__ == '__main__':
  main(sys.argv[1:])
