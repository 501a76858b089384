"""How well audits rank wrong labels first, by several scores: a Markdown table.

  python -m experiments.audit.scores FOLDER...

FOLDER is an audit's, of data whose true labels are known. Each cell holds AUROC
and average precision. Beside the score that the audit ranks by stand others: of
the averages over the training the normalised margin, and AUM, that of the
logits; of the probabilities out of sample the normalised margin, and where it
is installed cleanlab's scores.
"""

from collections.abc import Sequence
import importlib.util
import sys

from jaxtyping import Float, Integer
import numpy as np
import tabulate

from experiments.audit import files
from sce_jax import label_issues
from sce_jax.data import probability_files
from sce_jax.errors import UserError
from sce_jax.exit_codes import ExitCode
from sce_jax.noise import confident
from sce_jax.storage import paths

_CLEANLAB = {
  'self_confidence': 'self-confidence',
  'confidence_weighted_entropy': 'weighted entropy',
}


def main(arguments: Sequence[str]) -> int:
  """Prints the table of some audits' folders; returns the exit code."""
  try:
    if not arguments:
      raise UserError('name folders of audits')
    rows = [_row(folder) for folder in arguments]
  except UserError as error:
    print(f'error: {error}', file=sys.stderr)
    return ExitCode.BAD_INPUT
  print(tabulate.tabulate(rows, 'keys', 'github', disable_numparse=True))
  return ExitCode.DONE


def _row(folder: str) -> dict[str, str]:
  """The row of one audit, by column.

  Raises:
    UserError: there is none, or the true labels are not known, or there are
      only right or only wrong ones.
  """
  path = paths.path(folder)
  file = path / files.PROBABILITIES
  try:
    found = probability_files.read_arrays(file, 'probability', 'label', 'score')
  except ValueError as error:
    raise UserError(
      f'{file} cannot be read ({error}): give the command of the audit again'
    ) from None
  if 'clean_label' not in found:
    raise UserError(f'{folder}: nobody knows the true labels')
  known = found['clean_label'] >= 0
  label, score = found['label'][known], found['score'][known]
  probability = found['probability'][known]
  trained = {}
  if 'averaged' in found:
    trained['in training, margin'] = confident.normalized_margin(
      found['averaged'][known], label
    )
  if 'aum' in found:
    trained['in training, AUM'] = found['aum'][known]
  wrong = label != found['clean_label'][known]
  if wrong.all() or not wrong.any():  # Or none is known.
    raise UserError(
      f'{folder}: of {len(wrong):,} true labels that are known {wrong.sum():,}'
      ' differ from the given ones, so that there is nothing to tell apart'
    )
  scores = {
    'score': score,
    **trained,
    'out of sample, margin': confident.normalized_margin(probability, label),
    **_of_cleanlab(probability, label),
  }
  row = {'audit': path.name, 'wrong': f'{wrong.sum():,} of {len(wrong):,}'}
  for name, values in scores.items():
    figures = label_issues.ranking_figures(values, wrong)
    row[name] = f'{figures["AUROC"]:.3f}, {figures["average precision"]:.3f}'
  return row


def _of_cleanlab(
  probability: Float[np.ndarray, 'N K'], label: Integer[np.ndarray, ' N']
) -> dict[str, Float[np.ndarray, ' N']]:
  """The scores of cleanlab by name; none if it is not installed."""
  if importlib.util.find_spec('cleanlab') is None:
    return {}
  # Only here: nothing else needs it.
  from cleanlab import rank  # noqa: PLC0415

  return {
    f'{title} (cleanlab)': rank.get_label_quality_scores(
      label, probability, method=method, adjust_pred_probs=False
    )
    for method, title in _CLEANLAB.items()
  }


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
