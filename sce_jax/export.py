"""Writes a run's network to a folder that can be handed on; see inference.py.

The program in it is compiled on the machine that loads it, so it has the plain
convolution of layers.py, the layout for GPUs and TPUs, also when it is written
and loaded on a CPU.
"""

from collections.abc import Mapping
import dataclasses
import datetime
import functools
import os
import pathlib
import tempfile
from typing import Any

from flax import traverse_util
import jax
from jax import export as jax_export
import jax.numpy as jnp
import numpy as np
from safetensors import numpy as safetensors

import sce_jax
from sce_jax import models
from sce_jax.data import decode
from sce_jax.data.batches import Normalization
from sce_jax.data.info import DatasetInfo
from sce_jax.engine import predict
from sce_jax.errors import UserError
from sce_jax.inference import (
  DESCRIPTION,
  FORMAT,
  FORMAT_KEY,
  ONNX,
  PARAMETERS,
  PIXEL_MEAN,
  PROGRAM,
  README,
  checksum,
  read_description,
)
from sce_jax.runs import files, restore
from sce_jax.storage import digests, paths

PLATFORMS = ('cpu', 'cuda', 'tpu')

_README = """\
# {name}

A network of [sce_jax](https://arxiv.org/abs/1908.06112): {network}, trained on
{data} with {method}, after epoch {epoch} of {epochs}. It takes
{takes}, and gives the probabilities of
{num_classes} classes.

```python
import sce_jax

model = sce_jax.load('.')  # This folder.
probabilities = model.predict_proba({inputs})
names = [model.classes[i] for i in model.predict({inputs})]
```

{files}With jax alone, for the six months in which jax reads such a file:

```python
import pathlib

from jax import export

program = export.deserialize(
  bytearray(pathlib.Path('{program}').read_bytes())
)
probabilities = program.call({inputs})
```

`{parameters}` has the parameters, `{description}` the classes, the test figures
and the versions.
"""
_FILES = """\
Image files are read as for the training, rotated, converted and resized alike:

```python
for names, images in model.images('photos').chunks(256):
  print(names, model.predict_proba(images))
```

"""


def export(workdir: str | os.PathLike, out: str | os.PathLike) -> paths.Path:
  """Writes the network of a run's last checkpoint to a folder.

  Of a method with several networks it is the one that is evaluated. The folder
  appears whole or not at all; an earlier export is replaced.

  Args:
    workdir: the run's folder; nothing in it is changed.
    out: the folder to write, here or in a cloud.

  Returns:
    The folder.

  Raises:
    UserError: there is no such run, it has no checkpoint, or `out` cannot be
      written or holds something else.
  """
  target = paths.absolute(paths.path(out))
  _check_replaceable(target)
  run = restore.load(workdir)
  near = None if paths.is_cloud(target) else target.parent
  try:
    if near is not None:
      paths.make_folder(near)
    made = tempfile.TemporaryDirectory(prefix='.export-', dir=near)
  except OSError as error:
    raise _unwritable(target, error) from None
  with made as temporary:
    contents = _contents(run, workdir, target.name)
    try:
      _replace(target, contents, pathlib.Path(temporary))
    except OSError as error:
      raise _unwritable(target, error) from None
  return target


def _replace(
  target: paths.Path,
  contents: Mapping[str, str | bytes],
  temporary: pathlib.Path,
) -> None:
  """Makes a folder hold these files alone, by way of a temporary one."""
  new = temporary / 'new'
  new.mkdir()
  paths.write_all({new / name: content for name, content in contents.items()})
  if paths.is_cloud(target):
    paths.upload(new, target, last=DESCRIPTION)
    return
  if target.exists():
    os.replace(target, temporary / 'old')
  os.replace(new, target)


def _unwritable(target: paths.Path, error: OSError) -> UserError:
  return UserError(
    f'{target} cannot be written ({error.strerror or error}): make room, or'
    ' name another with --out'
  )


def _check_replaceable(target: paths.Path) -> None:
  """Checks that a folder is not there, empty, or an export of ours."""
  if not target.exists():
    return
  names = [x.name for x in target.iterdir()] if target.is_dir() else []
  others = set(names) - {DESCRIPTION, PARAMETERS, PROGRAM, ONNX, README}
  what = 'is a file'
  if target.is_dir() and not names:
    return
  if others:
    first = min(others, key=lambda name: (name.startswith('.'), name))
    what = f'holds {first}, which is not of an exported network'
  elif names:
    try:
      read_description(target)
      return
    except UserError as error:
      what = f'is there and would be replaced ({error})'
  raise UserError(f'{target} {what}: name another folder with --out')


def _contents(
  run: restore.SavedRun, workdir: str | os.PathLike, name: str
) -> dict[str, str | bytes]:
  """The files of an export, by name."""
  config = dataclasses.replace(run.config.model, layout='nhwc')
  normalization = Normalization.of(run.config.data, run.info)
  variables = jax.device_get(run.trainer.variables(run.state))
  parameters = tensors(run)
  program = _program(
    functools.partial(
      predict.class_probabilities,
      jax.tree.map(jnp.asarray, variables),
      pixel_mean=jnp.asarray(run.pixel_mean),
      # Compiled for each of PLATFORMS later; the layout is given above.
      module=models.build(config, run.info.num_classes, platform='tpu'),
      normalization=normalization,
    ),
    run.info,
  )
  checksums = {PARAMETERS: checksum(parameters), PROGRAM: checksum(program)}
  # Only of data of the user's own; a data set of tfds was not resized.
  told = files.read_record(workdir, 'data.json') or {
    'decoding': decode.description(is_resized=False)
  }
  described = network(run)
  # None: the run is an earlier version's, which did not record it.
  described['input']['decoding'] = told.get('decoding')
  info = {
    **_describe(run, workdir),
    **described,
    'network': config.architecture,
    'sha256': checksums,
  }
  shape = ', '.join(map(str, run.info.image_shape))
  if run.info.has_features:
    takes = f'float32 feature vectors [N, {shape}]'
  else:
    takes = f'uint8 images [N, {shape}] of values up to {run.info.pixel_max:g}'
  readme = _README.format(
    name=name,
    network=config.name,
    data=info['data']['name'],
    method=run.config.loss.name,
    epoch=run.epoch,
    epochs=run.config.train.epochs,
    takes=takes,
    inputs='features' if run.info.has_features else 'images',
    files='' if run.info.has_features else _FILES,
    num_classes=run.info.num_classes,
    program=PROGRAM,
    parameters=PARAMETERS,
    description=DESCRIPTION,
  )
  return {
    PARAMETERS: parameters,
    PROGRAM: program,
    README: readme,
    DESCRIPTION: digests.dumps(info, indent=2),
  }


def network(run: restore.SavedRun) -> dict[str, Any]:
  """What `inference.build` needs to know of a run, as plain data."""
  normalization = Normalization.of(run.config.data, run.info)
  return {
    'classes': list(run.info.class_titles),
    'input': {'shape': list(run.info.image_shape), 'dtype': _dtype(run.info)},
    'network': run.config.model.architecture,
    'normalization': dataclasses.asdict(normalization),
    'versions': {
      'sce_jax': sce_jax.__version__,
      'jax': jax.__version__,
    },
  }


def tensors(run: restore.SavedRun) -> bytes:
  """A run's network and mean image, as safetensors has them."""
  variables = jax.device_get(run.trainer.variables(run.state))
  flat = traverse_util.flatten_dict(variables, sep='.')
  return safetensors.save(
    # It writes an array's memory, in whichever order that is.
    {
      key: np.ascontiguousarray(value)
      for key, value in {**flat, PIXEL_MEAN: run.pixel_mean}.items()
    }
  )


def _program(function: Any, info: DatasetInfo) -> bytes:
  (size,) = jax_export.symbolic_shape('n')
  images = jax.ShapeDtypeStruct((size, *info.image_shape), _dtype(info))
  lowered = jax_export.export(
    jax.jit(lambda images: function(images=images)), platforms=PLATFORMS
  )
  return bytes(lowered(images).serialize())


def _dtype(info: DatasetInfo) -> str:
  """Of what the network takes."""
  return 'float32' if info.has_features else 'uint8'


def _describe(
  run: restore.SavedRun, workdir: str | os.PathLike
) -> dict[str, Any]:
  """What model.json says of the run."""
  data = files.read_record(workdir, 'dataset.json', ('digest',)) or {}
  begun = files.read_description(workdir)
  now = datetime.datetime.now(datetime.UTC)
  return {
    FORMAT_KEY: FORMAT,
    'created': now.isoformat(timespec='seconds'),
    'data': {
      'name': run.info.name,
      'source': run.config.data.source,
      'num_train': run.info.num_train,
      'digest': data['digest'],
    },
    'run': {
      'loss': {'name': run.config.loss.name, **run.config.loss.hparams},
      'noise': {
        'name': run.config.noise.name,
        'rate': run.config.noise.rate,
      },
      'seed': run.config.seed,
      'epoch': run.epoch,
      'epochs': run.config.train.epochs,
      'git_commit': begun.get('git_commit'),
      'initial': files.read_initial(workdir),
    },
    'metrics': _metrics(run, workdir),
  }


def _metrics(
  run: restore.SavedRun, workdir: str | os.PathLike
) -> dict[str, Any] | None:
  """The figures of this network, which need not be of the last epoch.

  As in result.json, or as in the epoch's line of metrics.jsonl; None: they are
  not known, as within an epoch.
  """
  result = files.read_result(workdir)
  if result and result.get('epochs', 0) * run.trainer.plan.steps == run.step:
    return result
  records = files.read_metrics(workdir)
  return next((x for x in records if x['step'] == run.step), None)
