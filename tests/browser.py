"""Chromium, if this machine has it: what a script makes of a page in it."""

import html
import json
import pathlib
import re
import shutil
import subprocess

import pytest

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
NEEDED = pytest.mark.skipif(not CHROMIUM, reason='there is no Chromium')


def evaluate(source: str, script: str, folder: pathlib.Path):
  """What a script at the end of a page puts into `result`."""
  path = folder / 'opened.html'
  # A page may refuse all scripts but its own.
  source = re.sub(
    '<meta http-equiv="Content-Security-Policy"[^>]*>', '', source
  )
  path.write_text(
    f'{source}<script>addEventListener("load", async () => {{\n'
    f'let result;\n{script}\n'
    'document.title = JSON.stringify(result);\n});</script>'
  )
  shown, errors = opened(path, folder)
  # Such as an error in the page's script.
  assert 'CONSOLE' not in errors, errors
  title = re.search('<title>(.*?)</title>', shown, re.DOTALL)
  assert title, shown
  return json.loads(html.unescape(title[1]))


def opened(path: pathlib.Path, folder: pathlib.Path) -> tuple[str, str]:
  """A page as its scripts have left it, and what Chromium has logged."""
  process = subprocess.run(
    [
      CHROMIUM,
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--virtual-time-budget=5000',
      '--enable-logging=stderr',
      f'--user-data-dir={folder / "profile"}',
      '--dump-dom',
      path.as_uri(),
    ],
    capture_output=True,
    text=True,
    timeout=60,
    check=True,
  )
  return process.stdout, process.stderr
