"""The table of how well audits found wrong labels, worked out by hand."""

import numpy as np
import pytest

from experiments.audit import files, scores
from sce_jax.exit_codes import ExitCode

# Of five labels 0 the first two are wrong. The score has a right label between
# them: of 2 x 3 pairs it orders 5; precision is 1 at the first of the wrong
# labels and 2/3 at the second. The probabilities have both wrong ones first.
FOUND = {
  'example_id': np.arange(6),
  'label': np.zeros(6, int),
  'clean_label': np.array([1, 1, 0, 0, 0, -1]),
  'score': np.array([0.1, 0.3, 0.2, 0.5, 0.6, 0.0]),
  # In training the second wrong label has a right one before it, too.
  'averaged': np.array(
    [[0.1, 0.9], [0.4, 0.6], [0.3, 0.7], [0.8, 0.2], [0.9, 0.1], [0.5, 0.5]]
  ),
  'probability': np.array(
    [[0.1, 0.9], [0.2, 0.8], [0.7, 0.3], [0.8, 0.2], [0.9, 0.1], [0.5, 0.5]]
  ),
}


@pytest.fixture
def folder(tmp_path):
  def make(**changes):
    kept = {k: v for k, v in (FOUND | changes).items() if v is not None}
    np.savez(tmp_path / files.PROBABILITIES, **kept)
    return str(tmp_path)

  return make


def test_figures_by_hand(folder, capsys):
  assert scores.main([folder()]) == ExitCode.DONE
  heading, _, *lines = capsys.readouterr().out.splitlines()
  columns, row = (
    [cell.strip() for cell in line.strip('|').split('|')]
    for line in (heading, *lines)
  )
  by_name = dict(zip(columns[1:], row[1:], strict=True))
  assert by_name.pop('wrong') == '2 of 5'
  for name in ('score', 'in training, margin'):
    assert by_name.pop(name) == '0.833, 0.833'
  # cleanlab's where it is installed, which are as good here.
  assert 'out of sample, margin' in by_name
  for figures in by_name.values():
    assert figures == '1.000, 1.000'


def test_what_cannot_be_scored_is_refused(folder, tmp_path, capsys):
  for arguments, message in (
    ([], 'name folders of audits'),
    ([str(tmp_path / 'no')], 'give the command of the audit again'),
    ([folder(clean_label=None)], 'nobody knows the true labels'),
  ):
    assert scores.main(arguments) == ExitCode.BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize(
  ('clean', 'message'),
  [
    (np.full(6, -1), 'of 0 true labels that are known 0 differ'),
    (np.zeros(6, int), 'of 6 true labels that are known 0 differ'),
    (np.ones(6, int), 'of 6 true labels that are known 6 differ'),
  ],
)
def test_there_must_be_right_and_wrong_labels(clean, message, folder, capsys):
  assert scores.main([folder(clean_label=clean)]) == ExitCode.BAD_INPUT
  assert message in capsys.readouterr().err
