"""What a process of a sweep does: a run, or several packed into one program."""

from collections.abc import Iterator, Sequence
import dataclasses
import os
import re

from experiments.sweeps import manifest
from experiments.sweeps.manifest import Entry
from sce_jax.config import fields
from sce_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Job:
  """A command and the runs that it sees to their end.

  Attributes:
    id: its name: that of its run, or of the first of its runs and their number.
    command: what follows the interpreter on the command line.
    entries: its runs.
  """

  id: str
  command: Sequence[str]
  entries: Sequence[Entry]

  @property
  def waiting(self) -> list[Entry]:
    """Those of its runs that have not ended."""
    return [entry for entry in self.entries if entry.ended is None]


def pack(
  entries: Sequence[Entry],
  size: int,
  path: str | os.PathLike,
  flags: Sequence[str] = (),
) -> list[Job]:
  """Packs runs of equal shape into tasks.

  Args:
    entries: the runs.
    size: how many share a program at most; 1: each is a separate job.
    path: the manifest that has them all.
    flags: more flags for every command.
  """
  groups = [[e] for e in entries] if size == 1 else _groups(entries, size)
  return [_task(group, path, flags) for group in groups]


def _task(
  group: Sequence[Entry], path: str | os.PathLike, flags: Sequence[str]
) -> Job:
  first = group[0]
  if len(group) == 1:
    return Job(first.id, [*first.command, *flags], group)
  members = ','.join(entry.id for entry in group)
  return Job(
    f'{first.id}-and-{len(group) - 1}-more',
    ['launch.py', 'train', f'--manifest={path}', f'--ids={members}', *flags],
    group,
  )


def _groups(entries: Sequence[Entry], size: int) -> Iterator[Sequence[Entry]]:
  alike: dict[tuple[str, str | None], list[Entry]] = {}
  for entry in entries:
    program = _program(manifest.config_of(entry.command))
    alike.setdefault((program, manifest.data_dir_of(entry.command)), []).append(
      entry
    )
  for group in alike.values():
    for start in range(0, len(group), size):
      yield group[start : start + size]


def _program(config: fields.RawConfig) -> str:
  """Equal for runs that probably share a program.

  Only the methods, which need jax, know which of their hyper-parameters are
  compiled in; train.train_many tells the runs apart again.
  """
  return fields.fingerprint(
    {
      path: value
      for path, value in fields.flatten(config).items()
      if path == 'loss.name' or not path.startswith(('seed', 'noise.', 'loss.'))
    }
  )


def shard(entries: Sequence[Entry], shard: str) -> list[Entry]:
  """A share of a sweep's runs: every N-th, so that shares take about as long.

  Args:
    entries: all of them.
    shard: 'I/N', the I-th of N, counted from 0.

  Raises:
    UserError: it is not understood.
  """
  match = re.fullmatch(r'(\d+)/(\d+)', shard)
  number, count = map(int, match.groups()) if match else (1, 0)
  if number >= count:
    raise UserError(
      f'--shard={shard} is not understood: give I/N, the I-th of N shares,'
      ' counted from 0, such as 0/16'
    )
  return list(entries[number::count])
