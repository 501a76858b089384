"""Folders of small images, written for tests, or by hand.

python -m tests.data.sources.pictures FOLDER [COUNT [WRONG]]
"""

import io
import pathlib
import sys

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write_digits(
  folder: pathlib.Path, count: int, wrong: float = 0.0
) -> set[str]:
  """Writes scikit-learn's digits as FOLDER/CLASS/NUMBER.png.

  Beyond 1,797 they are written again, one pixel changed.

  Args:
    folder: where.
    count: how many.
    wrong: the share of them that are put into another class than their own.

  Returns:
    The names of these, as CLASS/NUMBER.png.
  """
  images, labels = load_digits(return_X_y=True)
  rng = np.random.default_rng(0)
  is_wrong = rng.permutation(count) < round(wrong * count)
  named = set()
  for i in range(count):
    k = i % len(labels)
    pixels = (images[k].reshape(8, 8) * 15).astype(np.uint8)
    pixels[0, 0] = i // len(labels)
    label = labels[k]
    if is_wrong[i]:
      label = (label + rng.integers(1, 10)) % 10
      named.add(f'{label}/{i:05d}.png')
    path = folder / str(label) / f'{i:05d}.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
  return named


def write(
  path: pathlib.Path, mode: str = 'RGB', size=(8, 8), seed=0, **options
):
  """Writes an image of random pixels; `size` is (width, height)."""
  path.parent.mkdir(parents=True, exist_ok=True)
  pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3))
  image = Image.fromarray(pixels.astype(np.uint8)).convert(mode)
  image.save(path, **options)


def content() -> bytes:
  """A PNG file of 8x8 pixels."""
  made = io.BytesIO()
  Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(made, 'png')
  return made.getvalue()


if __name__ == '__main__':
  count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
  wrong = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
  write_digits(pathlib.Path(sys.argv[1]), count, wrong)
