"""Parameters that a run begins from: those of a file, in place of drawn ones.

The file is safetensors, of torchvision's or timm's ResNet-50 or of an exported
network; or PyTorch's .pth, which models/convert.py converts in a process of its
own. It is read when a run begins: a run that has a checkpoint no longer needs
it.
"""

from collections.abc import Callable, Mapping
import dataclasses
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from flax import traverse_util
import numpy as np
from safetensors import numpy as safetensors

from sce_jax.errors import UserError, reason_of
from sce_jax.models import ModelConfig, convert, torch_names
from sce_jax.parallel import processes
from sce_jax.runs import files
from sce_jax.storage import paths

_HUB = 'hf://'
# Of every network, by flat names.
_HEAD = 'params.head.'
_OPTION = '--config.model.init_from'
# The network of torchvision's and timm's ResNet-50, and what it was trained
# with, which its files do not say.
_TORCH_NETWORK, _TORCH_EPSILON = 'imagenet_resnet50', 1e-5
_V1 = 'torchvision IMAGENET1K_V1, ImageNet top-1 76.13 %'
_V2 = 'torchvision IMAGENET1K_V2, ImageNet top-1 80.86 %'
# Published weights by the beginning of their sha256: of torchvision the eight
# digits in the file's name, of timm as Hugging Face shows them.
_BY_DIGEST = {
  '0676ba61': _V1,
  '19c8e357': f'{_V1} (file of before 2021)',
  '11ad3fa6': _V2,
  '5d061a3c593d795b': _V1,
  '2ecb663569ff7be7': _V2,
  '773525d5821de224': 'timm resnet50.a1_in1k',
}
# By where they are on the hub.
_BY_REPOSITORY = {'timm/resnet50.tv_in1k': _V1, 'timm/resnet50.tv2_in1k': _V2}


@dataclasses.dataclass(frozen=True)
class Initial:
  """What a run begins from.

  Attributes:
    variables: 'params' and 'batch_stats' of the layers that are not drawn.
    record: the content of initial.json; None: nothing was asked for.
  """

  variables: Mapping[str, Any]
  record: Mapping[str, Any] | None


def load(config: ModelConfig, shapes: Callable[[], Any]) -> Initial:
  """Reads what a config's init_from names; of several processes, on the first.

  The head is drawn if the file's is of another number of classes, or missing.

  Args:
    config: the network.
    shapes: gives its variables, as arrays or their shapes; called where there
      is a file, as it traces the network.

  Raises:
    UserError: the file cannot be read, or does not fit the network.
  """
  given = config.init_from
  if given is None:
    return Initial({}, None)
  if given == files.RANDOM:
    return Initial({}, {'init_from': files.RANDOM})

  def read() -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    found = _load(given, config, shapes())
    return found.variables, found.record

  return Initial(*processes.on_primary(read))


def check(config: ModelConfig, shapes: Callable[[], Any]) -> None:
  """Checks that `load` would find weights that fit.

  Raises:
    UserError: as `load`.
  """
  given = config.init_from
  if given not in (None, files.RANDOM):
    processes.on_primary(lambda: _load(given, config, shapes()).record)


def _load(given: str, config: ModelConfig, shapes: Any) -> Initial:
  path = _find(given)
  content = _read(path, given)
  record: dict[str, Any] = {
    'init_from': given,
    'sha256': hashlib.sha256(content).hexdigest(),
  }
  _check_export(path, record['sha256'], config)
  if content[8:9] != b'{':
    content = _converted(path, content, given)
  metadata, tensors = _tensors(content, given)
  if convert.SOURCE_SHA256 in metadata:
    record |= {
      name: metadata.get(name)
      for name in (convert.SOURCE, convert.SOURCE_SHA256)
    }
  record['title'] = _title(record)
  tensors.pop(files.PIXEL_MEAN, None)
  if torch_names.is_torch(tensors):
    _check_torch(given, config)
    tensors = torch_names.from_torch(tensors)
  wanted = {
    name: tuple(x.shape)
    for name, x in traverse_util.flatten_dict(shapes, sep='.').items()
  }
  kept = _without_other_head(tensors, wanted)
  _check_fits(kept, wanted, given, config)
  has_head = any(name.startswith(_HEAD) for name in kept)
  record['head'] = 'of the file' if has_head else 'newly drawn'
  arrays = {
    name: np.ascontiguousarray(x, np.float32) for name, x in kept.items()
  }
  return Initial(traverse_util.unflatten_dict(arrays, sep='.'), record)


def _find(given: str) -> paths.Path:
  """The file that init_from names; one of a hub is downloaded."""
  if given.startswith(_HUB):
    return _download(given)
  path = paths.path(given)
  names = paths.names(path)
  if files.PARAMETERS in names:
    return path / files.PARAMETERS
  if 'config.json' in names:
    raise UserError(
      f'{_OPTION}={given} is the folder of a run: export its network with'
      f' python launch.py export --workdir={given} --out=FOLDER, and give'
      ' FOLDER'
    )
  if names:
    raise UserError(
      f'{_OPTION}={given} is a folder without {files.PARAMETERS}: give a file,'
      ' or the folder of an exported network'
    )
  return path


def _download(given: str) -> pathlib.Path:
  owner, _, rest = given.removeprefix(_HUB).partition('/')
  repository, _, name = rest.partition('/')
  if not (owner and repository and name):
    raise UserError(
      f'{_OPTION}={given}: write {_HUB}OWNER/REPOSITORY/FILE, such as'
      f' {_HUB}timm/resnet50.tv_in1k/model.safetensors'
    )
  try:
    import huggingface_hub  # noqa: PLC0415  Optional.
  except ModuleNotFoundError:
    raise UserError(
      f'{given} needs huggingface_hub: pip install huggingface_hub, or download'
      f' the file and give its path with {_OPTION}'
    ) from None
  try:
    return pathlib.Path(
      huggingface_hub.hf_hub_download(f'{owner}/{repository}', name)
    )
  except Exception as error:  # noqa: BLE001  Of many types, told in one line.
    reason = reason_of(error)
    offline = ' (HF_HUB_OFFLINE is set)' * bool(os.getenv('HF_HUB_OFFLINE'))
    raise UserError(
      f'{given} cannot be had{offline} ({type(error).__name__}: {reason}):'
      f' download the file elsewhere and give its path with {_OPTION}'
    ) from None


def _read(path: paths.Path, given: str) -> bytes:
  try:
    content = paths.read(path)
  except OSError as error:
    raise UserError(
      f'{_OPTION}={given} cannot be read ({error.strerror or error}): give a'
      ' file of weights, .safetensors or .pth'
    ) from None
  if content.startswith(b'version https://git-lfs'):
    raise UserError(
      f'{_OPTION}={given} is a pointer of Git LFS, not the file: git lfs pull,'
      ' or download it'
    )
  return content


def _check_export(path: paths.Path, sha256: str, config: ModelConfig) -> None:
  """Compares with the description beside the file of an exported network."""
  if path.name != files.PARAMETERS:
    return
  told = files.read_record(path.parent, files.DESCRIPTION) or {}
  # Of another program, it may say anything.
  sums, network = (
    x if isinstance(x, dict) else {}
    for x in (told.get('sha256'), told.get('network'))
  )
  if sums.get(files.PARAMETERS, sha256) != sha256:
    raise UserError(
      f'{path} is not the file that was exported: copy the folder again, or'
      ' export the run again'
    )
  _check_epsilon(network.get('batch_norm_epsilon'), path, config)


def _check_torch(given: str, config: ModelConfig) -> None:
  if config.name != _TORCH_NETWORK:
    raise UserError(
      f'{given} has the names of a PyTorch network, and of those only ResNet-50'
      f' is known: use it with --config.model.name={_TORCH_NETWORK}, not'
      f' {config.name}'
    )
  _check_epsilon(_TORCH_EPSILON, given, config)


def _check_epsilon(
  epsilon: float | None, given: Any, config: ModelConfig
) -> None:
  if epsilon not in (None, config.batch_norm_epsilon):
    raise UserError(
      f'{given} was trained with {epsilon} added to the variance in batch norm,'
      f' and config.model.batch_norm_epsilon is {config.batch_norm_epsilon}:'
      f' set it to {epsilon}'
    )


def _converted(path: paths.Path, content: bytes, given: str) -> bytes:
  """A PyTorch checkpoint as safetensors, made by a process of its own."""
  if not content.startswith((b'PK', b'\x80')):
    raise UserError(
      f'{_OPTION}={given} is neither safetensors nor a PyTorch checkpoint'
      f' ({len(content)} bytes): download it again'
    )
  with tempfile.TemporaryDirectory() as made:
    source, out = pathlib.Path(made, path.name), pathlib.Path(made, 'out')
    source.write_bytes(content)
    step = [str(convert.__file__), str(source), str(out)]
    done = subprocess.run(
      # -P: modules beside it are not to be found by their bare names.
      [sys.executable, '-P', *step],
      capture_output=True,
      text=True,
      check=False,
    )
    if done.returncode:
      last = (done.stderr.strip() or 'it was killed').splitlines()[-1]
      reason = last.removeprefix('error: ').replace(str(source), given)
      advice = ''
      if reason.startswith('torch is not installed'):
        advice = (
          f'; or convert it where it is: python {step[0]} {given}'
          ' OUT.safetensors'
        )
      raise UserError(f'{given} cannot be converted: {reason}{advice}')
    return out.read_bytes()


def _tensors(
  content: bytes, given: str
) -> tuple[Mapping[str, str], dict[str, np.ndarray]]:
  """The metadata and the tensors of a safetensors file."""
  try:
    tensors = safetensors.load(content)
    size = int.from_bytes(content[:8], 'little')
    metadata = json.loads(content[8 : 8 + size]).get('__metadata__', {})
  except KeyError as error:  # NumPy lacks the type.
    raise UserError(
      f'{given} holds numbers of type {error}: convert them to float32'
    ) from None
  except Exception as error:  # noqa: BLE001  The library's own type.
    reason = reason_of(error)
    raise UserError(
      f'{given} is damaged ({reason}): download or copy it again'
    ) from None
  return metadata, tensors


def _title(record: Mapping[str, Any]) -> str | None:
  """What known weights are called."""
  for digest in (record['sha256'], record.get(convert.SOURCE_SHA256) or ''):
    for beginning, title in _BY_DIGEST.items():
      if digest.startswith(beginning):
        return title
  repository = record['init_from'].removeprefix(_HUB).rpartition('/')[0]
  return _BY_REPOSITORY.get(repository)


def _without_other_head(
  tensors: Mapping[str, np.ndarray], wanted: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
  """All tensors, but not a head of another number of classes."""
  head = f'{_HEAD}kernel'
  if head not in tensors or tensors[head].shape[1:] == wanted[head][1:]:
    return dict(tensors)
  return {name: x for name, x in tensors.items() if not name.startswith(_HEAD)}


def _check_fits(
  tensors: Mapping[str, np.ndarray],
  wanted: Mapping[str, tuple[int, ...]],
  given: str,
  config: ModelConfig,
) -> None:
  """Checks that each parameter but the head's is there, once and right."""
  body = {name for name in wanted if not name.startswith(_HEAD)}
  has_head = any(name.startswith(_HEAD) for name in tensors)
  needed = set(wanted) if has_head else body
  missing = [name for name in sorted(needed) if name not in tensors]
  further = [name for name in sorted(tensors) if name not in wanted]
  others = [
    name
    for name in sorted(needed & set(tensors))
    if tensors[name].shape != wanted[name]
  ]
  advice = f'give weights of a {config.name}, or name their network'
  if missing:
    what = f'it lacks {missing[0]}'
    if all(x.endswith('.bias') for x in missing) and config.use_bias:
      advice = 'set --config.model.use_bias=False'
  elif further:
    what = f'it has {further[0]}, which the network has not'
    if all(x.endswith('.bias') for x in further) and not config.use_bias:
      advice = 'set --config.model.use_bias=True'
  elif others:
    shape = tensors[others[0]].shape
    what = f'its {others[0]} is {shape}, not {wanted[others[0]]}'
  else:
    bad = [
      name
      for name, x in tensors.items()
      if x.dtype.kind != 'f' or not np.isfinite(x).all()
    ]
    if not bad:
      return
    what = f'its {bad[0]} holds no finite numbers'
  raise UserError(
    f'{given} does not fit the network {config.name}: {what}; {advice}'
  )
