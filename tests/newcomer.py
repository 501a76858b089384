"""A newcomer's path, timed: a folder of small images, to the audit's page.

  python -m tests.newcomer [FOLDER]

Writes 2,000 digits as PNG files into class folders, 13 % of them into a wrong
one, decodes them once by themselves, and audits them by launch.py with an empty
cache, as on a machine that has never trained. Says how long each took, and how
many of the labels that the audit ranks first are wrong.
"""

import csv
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from sce_jax.data import image_files
from sce_jax.data.sources import images
from tests.data.sources import pictures

COUNT, WRONG = 2000, 0.13
_REPOSITORY = pathlib.Path(__file__).parent.parent


def write(folder: pathlib.Path) -> set[str]:
  """Writes the images below a folder; returns those in a wrong class."""
  return pictures.write_digits(folder, COUNT, WRONG)


def decode(folder: pathlib.Path) -> float:
  """Files decoded a second of one core, with nothing in the cache."""
  names = list(image_files.find(folder))
  begun = time.process_time()
  found = images.load(folder, names, None, 0.0)
  assert len(found.rows) == COUNT
  return COUNT / (time.process_time() - begun)


def audit(folder: pathlib.Path, workdir: pathlib.Path, *flags: str) -> None:
  """Audits a folder of images by launch.py, as a user would."""
  subprocess.run(
    [
      sys.executable,
      'launch.py',
      'audit',
      '--config=configs/own.py:sl',
      f'--config.data.path={folder}',
      f'--workdir={workdir}',
      *flags,
    ],
    cwd=_REPOSITORY,
    check=True,
  )


def first_issues(workdir: pathlib.Path, count: int) -> set[str]:
  """The examples that an audit ranks first, by their files' names."""
  with open(workdir / 'label_issues.csv', newline='') as file:
    rows = list(csv.DictReader(file))
  key = 'file_name' if 'file_name' in rows[0] else 'example_id'
  return {row[key] for row in rows[:count]}


def main(folder: pathlib.Path) -> None:
  data, workdir = folder / 'digits', folder / 'audit'
  begun = time.monotonic()
  wrong = write(data)
  print(f'{COUNT} files written: {time.monotonic() - begun:.1f} s')
  os.environ['XDG_CACHE_HOME'] = str(folder / 'cache-decoded')
  print(f'decoded: {decode(data):,.0f} files a second and core', flush=True)
  os.environ['XDG_CACHE_HOME'] = str(folder / 'cache-audited')
  begun = time.monotonic()
  audit(data, workdir)
  print(f'audited: {time.monotonic() - begun:.1f} s')
  hit = len(first_issues(workdir, len(wrong)) & wrong)
  print(f'of {len(wrong)} wrong labels {hit} are ranked first')
  print(f'page: {workdir / "audit.html"}')


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()))
