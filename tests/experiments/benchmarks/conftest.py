"""Runs the benchmarks' commands in this process, on tiny sizes."""

import functools
import json
import math

import jax
import pytest

from experiments.benchmarks import __main__, roofline, workload
from sce_jax import models
from sce_jax.exit_codes import ExitCode

# Programs that compile in half the time; nothing looks at how fast they are.
SETTINGS = {
  'jax_default_prng_impl': 'unsafe_rbg',
  'jax_disable_most_optimizations': True,
}


@pytest.fixture
def quickly_compiled():
  before = {name: jax.config.values[name] for name in SETTINGS}
  for name, value in SETTINGS.items():
    jax.config.update(name, value)
  yield
  for name, value in before.items():
    jax.config.update(name, value)


@pytest.fixture
def measure(quickly_compiled, monkeypatch, tmp_path, capsys):
  """Runs a command; returns its rows and what it says of the machine.

  digits_cnn has no convolutions here, so that it compiles at once.
  """
  network = functools.partial(
    models.cnn.CNN, stages=(), pooled=(), hidden=8, batch_norm=False
  )
  monkeypatch.setitem(models.MODELS, 'digits_cnn', network)
  monkeypatch.setattr(roofline, 'CPU', (64, 2, 1))
  # This process's other tests do not want a cache.
  monkeypatch.setattr(workload.compilation_cache, 'enable', lambda: None)

  def run(*flags: str):
    file = tmp_path / 'figures.json'
    assert __main__.main([*flags, f'--json={file}']) == 0
    figures = json.loads(file.read_text())
    rows = figures['rows']
    head, _, _, columns, _, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith(f'{flags[0]} --')
    assert [x.strip() for x in columns.split('|')[1:-1]] == list(rows[0])
    assert len(lines) == len(rows) > 0
    for row in rows:
      numbers = [x for x in row.values() if isinstance(x, int | float)]
      assert all(0 < x < math.inf for x in numbers), row
    return rows, figures['machine']

  return run


@pytest.fixture
def refusal(capsys):
  """Runs a command that must refuse; returns the line that says why."""

  def run(*flags: str) -> str:
    assert __main__.main(flags) == ExitCode.BAD_INPUT
    out, err = capsys.readouterr()
    assert not out
    (line,) = err.splitlines()
    assert line.startswith('error: ')
    return line

  return run
