"""What an audit leaves in its folder, beside the runs of its folds.

label_issues.csv   every training example, the most suspicious label first
transition.json    how labels seem to go wrong, and how many
audit.html         the labels to look at, see page.py
suggestions.csv    all that it suggests, as a file for config.data.relabel
probabilities.npz  arrays in the order of the training split: example_id, label,
                   probability [N, K] by the network that was not trained on the
                   example, averaged [N, K] over the training of the others,
                   score, aum; clean_label where the true labels are known
"""

from collections.abc import Iterable, Sequence
import csv
import io
import json
from typing import Any

import numpy as np

from experiments.audit import page
from sce_jax.data.dataset import Dataset
from sce_jax.data.info import DatasetInfo
from sce_jax.errors import UserError
from sce_jax.label_issues import LabelIssues
from sce_jax.storage import paths

PROBABILITIES = 'probabilities.npz'
COLUMNS = (
  'rank',
  'example_id',
  'index',
  'given_label',
  'suggested_label',
  'given_probability',
  'suggested_probability',
  'score',
  'is_issue',
)


def write(
  folder: paths.Path, issues: LabelIssues, dataset: Dataset, title: str
) -> paths.Path:
  """Writes the files, over those of an earlier audit.

  Returns:
    The page.

  Raises:
    UserError: the folder cannot be written.
  """
  html = folder / 'audit.html'
  names = page.example_names(issues, dataset)
  written = dataset.info.written_labels
  record = transition_record(issues, dataset.info)
  try:
    paths.make_folder(folder)
    paths.write_all(
      {
        folder / 'label_issues.csv': csv_text(issues, names, written),
        folder / 'transition.json': json.dumps(record, indent=1) + '\n',
        folder / 'suggestions.csv': suggestions_text(issues, names, written),
        folder / PROBABILITIES: _arrays(issues),
        html: page.page_text(issues, dataset, title),
      }
    )
  except OSError as error:
    raise UserError(
      f'{folder} cannot be written ({error.strerror or error}): make room, and'
      ' give the same command again; the folds have been trained'
    ) from None
  return html


def csv_text(
  issues: LabelIssues, names: Sequence[str], written: Sequence[str]
) -> str:
  """label_issues.csv.

  Args:
    issues: what was found.
    names: of the examples.
    written: how each class is written, see `DatasetInfo.written_labels`.
  """
  suggested = issues.suggested
  rows = []
  for rank, row in enumerate(issues.ranking, 1):
    given, likely = issues.label[row], suggested[row]
    own = issues.probability[row]
    rows.append(
      [
        rank,
        names[row],
        issues.index[row],
        written[given],
        written[likely],
        f'{own[given]:.6g}',
        f'{own[likely]:.6g}',
        f'{issues.score[row]:.6g}',
        int(issues.is_issue[row]),
      ]
    )
  return _text([COLUMNS, *rows])


def suggestions_text(
  issues: LabelIssues, names: Sequence[str], written: Sequence[str]
) -> str:
  """suggestions.csv: each issue relabelled as suggested.

  Args:
    issues: what was found.
    names: as in `csv_text`.
    written: as in `csv_text`.
  """
  suggested = issues.suggested
  rows = [
    (names[row], written[suggested[row]])
    for row in issues.ranking
    if issues.is_issue[row]
  ]
  return _text([('example_id', 'label'), *rows])


def _text(rows: Iterable[Iterable[Any]]) -> str:
  text = io.StringIO()
  csv.writer(text, lineterminator='\n').writerows(rows)
  return text.getvalue()


def _arrays(issues: LabelIssues) -> bytes:
  """probabilities.npz."""
  arrays = {
    'example_id': issues.example_id,
    'label': issues.label,
    'probability': issues.probability.astype(np.float32),
    'score': issues.score,
  }
  if issues.averaged is not None:
    arrays['averaged'] = issues.averaged.astype(np.float32)
  if issues.aum is not None:
    arrays['aum'] = issues.aum
  if issues.clean_label is not None:
    arrays['clean_label'] = issues.clean_label
  content = io.BytesIO()
  np.savez(content, allow_pickle=False, **arrays)
  return content.getvalue()


def transition_record(issues: LabelIssues, info: DatasetInfo) -> dict[str, Any]:
  """The content of transition.json."""
  true, errors = issues.true_transition, issues.transition_errors
  return {
    'dataset': info.name,
    'classes': list(info.class_titles),
    'examples': len(issues.label),
    # The estimated share of wrong labels, and its 95 % bootstrap interval.
    'noise_rate': round(issues.rate, 6),
    'noise_rate_interval': [round(x, 6) for x in issues.rate_interval],
    # [i][j]: P(labelled j | truly i).
    'transition': np.round(issues.transition, 6).tolist(),
    # [i][j]: how many labelled i seem to be of class j.
    'joint': np.round(issues.joint, 2).tolist(),
    # By each estimator, and how far each row is from the true one.
    'estimates': {
      name: {
        'transition': np.round(matrix, 6).tolist(),
        'total_variation': np.round(errors[name], 6).tolist()
        if name in errors
        else None,
      }
      for name, matrix in issues.transitions.items()
    },
    # The share whose two nearest neighbours have their true label.
    'clusterability': issues.clusterability,
    'true_transition': None if true is None else np.round(true, 6).tolist(),
  }
