"""Tables and commands in terminals of several widths, and in a pipe."""

import shlex
import sys

import pytest

from experiments.report import text
from experiments.report.page import Table

ROWS = [
  ['method', 'symmetric 0.2', 'symmetric 0.4', 'asymmetric 0.4'],
  ['cross entropy', '87.3 ± 1.0', '70.6 ± 1.7', '79.9 ± 1.9'],
  ['SL', '97.5 ± 0.6', '92.6 ± 1.1', '83.8 ± 2.1'],
]


@pytest.fixture
def terminal(monkeypatch):
  """Makes standard output a terminal of so many columns."""

  def resize(columns):
    monkeypatch.setenv('COLUMNS', str(columns))
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: True)

  return resize


@pytest.mark.parametrize(('columns', 'count'), [(80, 1), (60, 2), (40, 3)])
def test_a_table_fits_its_terminal(terminal, columns, count):
  terminal(columns)
  shown = text.aligned(ROWS)
  assert text.columns(shown) <= columns
  # No value is lost, and each part says which method a row is of.
  parts = shown.split('\n\n')
  assert len(parts) == count
  assert all(part.count('cross entropy') == 1 for part in parts)
  for row in ROWS[1:]:
    assert all(shown.count(cell) == 1 for cell in row[1:])


def test_a_pipe_gets_tables_and_commands_whole(monkeypatch):
  monkeypatch.setenv('COLUMNS', '20')
  assert text.aligned(ROWS).count('cross entropy') == 1
  line = 'python launch.py compare --config=digits --losses=ce,sl'
  assert text.command(line) == f'  {line}'


def test_all_of_a_reports_table_fits(terminal):
  terminal(50)
  caption = 'Test accuracy of the last epoch in per cent, mean over seeds'
  rows = [[*row] for row in ROWS[1:]]
  shown = text.table(Table('accuracy', caption, ROWS[0], rows, ''))
  assert text.columns(shown) <= 50
  assert ' '.join(shown.split()).startswith(caption)


@pytest.mark.parametrize('columns', [80, 40, 20])
def test_a_long_command_can_be_copied(terminal, columns):
  terminal(columns)
  line = (
    '.venv/bin/python launch.py compare --config=digits:sl,symmetric,0.6'
    " --losses=ce,sl,gce --config.data.path='my data'"
  )
  shown = text.command(line)
  # What a shell makes of it: a backslash joins lines.
  assert shlex.split(shown.replace('\\\n', '')) == shlex.split(line)
  if columns == 80:
    assert text.columns(shown) <= columns


def test_the_own_command_can_be_given_to_a_shell_again(monkeypatch):
  given = ['launch.py', 'report', '--noises=symmetric 0.4,pair_flip 0.2', "a'b"]
  monkeypatch.setattr('sys.argv', given)
  assert shlex.split(text.own_command()) == ['python', *given]
