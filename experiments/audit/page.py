"""The page on which suspicious labels are looked at and decided.

One file that asks the network for nothing: pictures are data URIs, choices stay
in the browser (localStorage) until they are saved as choices.csv.
"""

import base64
import io
import json
import pathlib
from typing import Any
import zlib

import jinja2
import numpy as np
from PIL import Image

from experiments import report
from experiments.report import policy
from sce_jax.data import stream
from sce_jax.data.dataset import Dataset
from sce_jax.label_issues import LabelIssues

# Of many issues the first are shown; with pictures of up to so many pixels.
_MOST = 10_000
_LARGEST = 96


def page_text(issues: LabelIssues, dataset: Dataset, title: str) -> str:
  """The page, of the examples that are issues.

  Args:
    issues: what was found.
    dataset: the data set that was audited.
    title: what was audited, and how.
  """
  here = pathlib.Path(__file__).parent
  (shared,) = map(pathlib.Path, report.__path__)
  style = ''.join(
    x.read_text() for x in (shared / 'page.css', here / 'audit.css')
  )
  script = (here / 'audit.js').read_text()
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(here),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
  )
  # In a script element nothing is unescaped, so nothing may end it.
  data = json.dumps(page_data(issues, dataset), separators=(',', ':'))
  low, high = issues.rate_interval
  return environment.get_template('audit.html.jinja').render(
    title=title,
    total=len(issues.label),
    found=int(issues.is_issue.sum()),
    most=_MOST,
    rate=f'{100 * issues.rate:.1f} %',
    interval=f'{100 * low:.1f} to {100 * high:.1f} %',
    data=data.replace('<', '\\u003c'),
    style=style,
    script=script,
    policy=policy.content_security_policy(style, script),
  )


def page_data(issues: LabelIssues, dataset: Dataset) -> dict[str, Any]:
  """What the page's script reads: the issues in columns, by suspicion."""
  rows = [row for row in issues.ranking if issues.is_issue[row]][:_MOST]
  names = example_names(issues, dataset)
  suggested = issues.suggested[rows]
  given = issues.label[rows]
  # Other labels or examples are another audit, and have their own choices.
  key = zlib.crc32(issues.example_id.tobytes() + issues.label.tobytes())
  return {
    'key': f'audit-{dataset.info.name}-{key:08x}',
    'classes': list(dataset.info.class_titles),
    'written': list(dataset.info.written_labels),
    # As text: JavaScript has no whole numbers of 64 bits.
    'id': [names[row] for row in rows],
    'given': given.tolist(),
    'suggested': suggested.tolist(),
    'given_probability': np.round(issues.probability[rows, given], 4).tolist(),
    'suggested_probability': np.round(
      issues.probability[rows, suggested], 4
    ).tolist(),
    # Of feature vectors there is nothing to see.
    'image': None
    if dataset.info.has_features
    else [
      thumbnail(image, dataset.info.pixel_max)
      for image in stream.look_at(
        dataset.train, dataset.info, issues.index[rows]
      )
    ],
  }


def example_names(issues: LabelIssues, dataset: Dataset) -> list[str]:
  """What the examples are called: by their files, else by their ids."""
  names = dataset.train_names
  if names is None:
    return [str(i) for i in issues.example_id]
  return [str(name) for name in names[issues.index]]


def thumbnail(image: np.ndarray, pixel_max: float) -> str:
  """A data URI of an image: grey ones as PNG, those in colour as WebP.

  Args:
    image: uint8 [H, W, C]; of other than one or three channels the first is
      shown.
    pixel_max: the stored value that is white.
  """
  scaled = np.clip(image * (255.0 / pixel_max), 0, 255).round().astype(np.uint8)
  shown = scaled if scaled.shape[-1] == 3 else scaled[..., 0]
  picture = Image.fromarray(shown)
  picture.thumbnail((_LARGEST, _LARGEST))
  content = io.BytesIO()
  if shown.ndim == 2:
    kind = 'png'
    picture.save(content, 'PNG', optimize=True)
  else:
    kind = 'webp'
    picture.save(content, 'WEBP', quality=85)
  encoded = base64.b64encode(content.getvalue()).decode()
  return f'data:image/{kind};base64,{encoded}'
