"""The sweep benchmark: its steps see all runs, its bad input."""

from experiments.benchmarks import sweep
from tests.experiments.refusals import refusal


def test_every_run_is_driven_to_its_end(tmp_path):
  rows = sweep.measure(12, tmp_path)
  assert len(list(tmp_path.glob('runs/*/result.json'))) == 12
  assert len((tmp_path / 'sweep.jsonl').read_text().splitlines()) == 12
  assert len(rows) == 7
  for row in rows:
    assert row['s a 1000'] == 1000 * row['s'] / 12 >= 0


def test_bad_input_is_refused(capsys):
  assert '--runs' in refusal(capsys, sweep.main, '--runs=0')
