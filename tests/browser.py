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
  path.write_text(
    f'{source}<script>addEventListener("load", () => {{\n'
    f'let result;\n{script}\n'
    'document.title = JSON.stringify(result);\n});</script>'
  )
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
  # Such as an error in the page's script.
  assert 'CONSOLE' not in process.stderr, process.stderr
  title = re.search('<title>(.*?)</title>', process.stdout, re.DOTALL)
  assert title, process.stdout
  return json.loads(html.unescape(title[1]))
