"""The processes of a sweep: each trains a run, or several packed together."""

from collections.abc import Iterator, Sequence
import dataclasses
import pathlib
import re

from experiments.sweeps.manifest import Entry
from sce_jax.config import fields
from sce_jax.errors import UserError

# Absolute: jobs may start in another folder.
LAUNCH = str(pathlib.Path(__file__).resolve().parents[2] / 'launch.py')


@dataclasses.dataclass(frozen=True)
class Job:
  """A command and the runs that it trains.

  Attributes:
    id: its name: that of its run, or of the first of its runs and their number.
    command: what follows the interpreter on the command line. It is idempotent:
      given again it resumes, and does nothing once its runs have ended.
    entries: its runs.
  """

  id: str
  command: Sequence[str]
  entries: Sequence[Entry]


def pack(
  entries: Sequence[Entry], size: int, flags: Sequence[str]
) -> list[Job]:
  """Packs runs that share a program into jobs.

  Args:
    entries: the runs.
    size: how many a job has at most.
    flags: of every command, --manifest among them.
  """
  return [
    Job(
      f'{group[0].id}-and-{len(group) - 1}-more' if group[1:] else group[0].id,
      [LAUNCH, 'train', *flags, f'--ids={",".join(e.id for e in group)}'],
      group,
    )
    for group in _groups(entries, size)
  ]


def _groups(entries: Sequence[Entry], size: int) -> Iterator[Sequence[Entry]]:
  if size == 1:
    yield from ([entry] for entry in entries)
    return
  alike: dict[tuple[str, str | None], list[Entry]] = {}
  for entry in entries:
    alike.setdefault((_program(entry.config), entry.data_dir), []).append(entry)
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
