"""Small JPEGs in an array_record file, as data that are streamed are stored."""

import io

from array_record.python import array_record_module
import numpy as np
from PIL import Image

from sce_jax.data import records


def jpeg(pixels: np.ndarray) -> bytes:
  """A JPEG that keeps its pixels almost, colours in full resolution."""
  content = io.BytesIO()
  Image.fromarray(pixels).save(content, 'JPEG', quality=98, subsampling=0)
  return content.getvalue()


def smooth(height: int, width: int, blue: int = 0) -> np.ndarray:
  """Red tells the row, green the column: twice the number."""
  rows, columns = np.mgrid[:height, :width]
  planes = [2 * rows, 2 * columns, np.full_like(rows, blue)]
  return np.stack(planes, -1).astype(np.uint8)


def write(folder, images) -> records.Records:
  """Files of at most four records, of images in order."""
  files, sizes = [], []
  for start in range(0, len(images), 4):
    part = images[start : start + 4]
    files.append(str(folder / f'{start}.array_record'))
    sizes.append(len(part))
    writer = array_record_module.ArrayRecordWriter(files[-1], records.OPTIONS)
    for image in part:
      writer.write(image if isinstance(image, bytes) else jpeg(image))
    writer.close()
  return records.Records(tuple(files), tuple(sizes), np.arange(len(images)))
