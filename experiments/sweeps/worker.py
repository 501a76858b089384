"""What a process of a sweep does: it trains runs of a manifest, together."""

from collections.abc import Collection, Sequence

from experiments.sweeps import manifest
from sce_jax.errors import NonFiniteLoss, UserError
from sce_jax.train import train_many


def train(
  path: str,
  ids: Sequence[str],
  root: str | None = None,
  data_dir: str | None = None,
  allow_config_change: Collection[str] = (),
) -> None:
  """Trains runs of a manifest; those that share a program together.

  Args:
    path: the manifest.
    ids: which of its runs.
    root: the folder of all runs; None: the manifest's.
    data_dir: the tfds folder in place of that of the manifest.
    allow_config_change: as in train.train_and_evaluate.

  Raises:
    UserError: they cannot be read or trained; nothing has been done.
    NonFiniteLoss: some of them have diverged; the others have ended.
  """
  if not ids:
    raise UserError(f'--manifest={path}: say which of its runs with --ids=A,B')
  entries = {entry.id: entry for entry in manifest.load(path, root, data_dir)}
  for name in ids:
    if name not in entries:
      raise UserError(f'--ids: {path} has no run {name!r}')
  chosen = [entries[name] for name in ids]
  if len({entry.data_dir for entry in chosen}) > 1:
    raise UserError('--ids: these runs read different folders: give --data_dir')
  results = train_many(
    [entry.config for entry in chosen],
    [entry.workdir for entry in chosen],
    chosen[0].data_dir,
    allow_config_change=allow_config_change,
  )
  failed = [r['failed'] for r in results if 'failed' in r]
  if failed:
    raise NonFiniteLoss.of_runs(failed)
