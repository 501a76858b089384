"""Parameters of torchvision's and timm's ResNets, by this package's names."""

from collections.abc import Mapping
import re

from jaxtyping import Shaped
import numpy as np

# torch's modules and ours. Stages are numbered from 1 on in both, blocks from 0
# on in torch's; a block's layers have the same names but for the projection.
_MODULES = (
  (r'conv1', 'stem'),
  (r'bn1', 'stem_bn'),
  (r'fc', 'head'),
  (r'layer(\d+)\.(\d+)\.(conv\d|bn\d)', ''),
  (r'layer(\d+)\.(\d+)\.downsample\.0', 'projection'),
  (r'layer(\d+)\.(\d+)\.downsample\.1', 'projection_bn'),
)
_STATISTICS = {'running_mean': 'mean', 'running_var': 'var'}
# By their number of axes, the order of them that ours have.
_KERNELS = {4: (2, 3, 1, 0), 2: (1, 0)}
# How many batches there were; only torch's momentum=None reads it.
_UNUSED = 'num_batches_tracked'
# Of torch.nn.DataParallel.
_PREFIX = 'module.'


def is_torch(names: Mapping[str, np.ndarray]) -> bool:
  """Whether tensors have torch's names, those of an unknown network's too."""
  return not any(name.startswith('params.') for name in names)


def from_torch(
  tensors: Mapping[str, Shaped[np.ndarray, '...']],
) -> dict[str, np.ndarray]:
  """Tensors by our flat names, such as params.stem.kernel, in our layout.

  Kernels [O, I, H, W] become [H, W, I, O], and dense ones [O, I] become [I, O].
  A tensor that no ResNet has keeps its name.
  """
  found = {}
  for full, value in tensors.items():
    name = full.removeprefix(_PREFIX)
    module, _, leaf = name.rpartition('.')
    ours = _module(module)
    if leaf == _UNUSED:
      continue
    if ours is None:
      found[full] = value
    elif leaf in _STATISTICS:
      found[f'batch_stats.{ours}.{_STATISTICS[leaf]}'] = value
    elif leaf == 'weight' and value.ndim in _KERNELS:
      kernel = value.transpose(_KERNELS[value.ndim])
      found[f'params.{ours}.kernel'] = kernel
    else:
      found[f'params.{ours}.{"scale" if leaf == "weight" else leaf}'] = value
  return found


def _module(name: str) -> str | None:
  for pattern, ours in _MODULES:
    match = re.fullmatch(pattern, name)
    if match is None:
      continue
    if not match.groups():
      return ours
    stage, block, *layer = match.groups()
    return f'stage{stage}_block{int(block) + 1}_{(layer or [ours])[0]}'
  return None
