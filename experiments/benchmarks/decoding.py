"""How fast stored JPEGs become batches, and how many cores that takes."""

from collections.abc import Callable, Sequence
import importlib.util
import io
import pathlib
import tempfile
import time
from typing import Any

from array_record.python import array_record_module
import numpy as np
from PIL import Image
import simplejpeg
from sklearn.datasets import load_sample_images

from experiments.benchmarks import harness
from sce_jax.data import crops, decode, records, stream, threads

# Operations of a training step of ResNet-50 for an image of 224 x 224 pixels:
# 4.1 billion products and sums forward (He et al., 2016), twice that backward.
_FLOP = 3 * 2 * 4.1e9
# Of matrix products in bfloat16 a second: a v5e chip, and an H100 (SXM).
_PEAKS = {'8 v5e chips': 8 * 197e12, 'one H100': 989e12}
_BATCH = 32
_SIZE = 224
_LARGE = 400
Contents = Sequence[bytes]


def _pillow(content: bytes) -> np.ndarray:
  return np.asarray(Image.open(io.BytesIO(content)).convert('RGB'))


def _opencv() -> Callable[[bytes], object]:
  import cv2  # noqa: PLC0415  Only measured where it is installed.

  cv2.setNumThreads(1)
  return lambda content: cv2.imdecode(
    np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB
  )


def _libvips() -> Callable[[bytes], object]:
  import pyvips  # noqa: PLC0415  Only measured where it is installed.

  pyvips.cache_set_max(0)
  return lambda content: pyvips.Image.new_from_buffer(content, '').numpy()


def _turbojpeg() -> Callable[[bytes], object]:
  import turbojpeg  # noqa: PLC0415  Only measured where it is installed.

  return turbojpeg.TurboJPEG().decode


# A module, and what makes the decoder; Pillow and simplejpeg are always there.
_DECODERS: dict[str, tuple[str, Callable[[], Callable[[bytes], object]]]] = {
  'Pillow': ('PIL', lambda: _pillow),
  'simplejpeg': ('simplejpeg', lambda: simplejpeg.decode_jpeg),
  'OpenCV': ('cv2', _opencv),
  'libvips': ('pyvips', _libvips),
  'PyTurboJPEG': ('turbojpeg', _turbojpeg),
}


def decoding(
  sides: Sequence[int] = (224, 256, 320),
  qualities: Sequence[int] = (75, 90),
  num_images: int = 64,
  seconds: float = 0.5,
  share: float = 0.2,
) -> harness.Report:
  """Images a second of decoders, crops and the whole feed, on one core.

  The images are random parts of scikit-learn's two photographs, as wide as 3/4
  to 4/3 of their height, stored as JPEGs with a short side of so many pixels.

  NAME alone      the decoder, of those that are installed.
  crop: NAME      decoding and cropping to 224 x 224 as training does.
  feed            records read in a random order, decoded, cropped (random) and
                  put into batches of 32 by threads, through grain.
  prepare         images of a short side of 400 made JPEGs of 256, quality 90,
                  as preparing a data set from the web does.

  Times are the processor's, so that other work matters little; 'images/s' is by
  the clock, of all cores that this process may use. The last columns are how
  many such cores feed a ResNet-50 that uses a `share` of the device's peak:
  at 0.2, which an A100 reaches (experiments/cloud/SCALE.md), eight v5e chips
  take 12,800 images a second, an H100 8,000.
  """
  rows: list[harness.Row] = []
  for side in sides:
    for quality in qualities:
      contents = _images(side, quality, num_images)
      stored: dict[str, Any] = {
        'short side': side,
        'quality': quality,
        'kB': np.mean([len(x) for x in contents]) / 1000,
      }
      harness.log(f'short side {side}, quality {quality}')
      for name, (module, make) in _DECODERS.items():
        if importlib.util.find_spec(module) is not None:
          rate = _rate(make(), contents, seconds)
          rows.append(stored | _row(name, rate, share))
      for name, crop in crops.CROPS.items():
        rng = np.random.default_rng(0)

        def cropped(content, crop=crop, rng=rng):
          return crop(content, _SIZE, rng)

        rate = _rate(cropped, contents, seconds)
        rows.append(stored | _row(f'crop: {name}', rate, share))
      rate, clock = _feed(contents, seconds)
      rows.append(stored | _row('feed', rate, share) | {'images/s': clock})
  rows.append(_prepared(num_images, seconds))
  return harness.Report(rows, {'cores': threads.num_cores()})


def _prepared(num_images: int, seconds: float) -> harness.Row:
  contents = _images(_LARGE, 90, num_images)
  rate = _rate(lambda x: decode.jpeg(x, 256, 90), contents, seconds)
  blank = dict.fromkeys(_row('prepare', rate, 1.0))
  return {
    'short side': _LARGE,
    'quality': 90,
    'kB': np.mean([len(x) for x in contents]) / 1000,
    **blank,
    'what': 'prepare',
    'images/s a core': rate,
  }


def _row(name: str, rate: float, share: float) -> dict[str, Any]:
  needed: dict[str, Any] = {
    f'cores for {device}': peak * share / _FLOP / rate
    for device, peak in _PEAKS.items()
  }
  return {'what': name, 'images/s a core': rate, 'images/s': None} | needed


def _images(side: int, quality: int, num: int) -> Contents:
  """Parts of photographs, as JPEGs with 4:2:0 colours."""
  rng = np.random.default_rng(0)
  photographs = [Image.fromarray(x) for x in load_sample_images().images]
  made = []
  for i in range(num):
    photograph = photographs[i % len(photographs)]
    height = int(rng.integers(320, photograph.height + 1))
    width = min(int(height * rng.uniform(3 / 4, 4 / 3)), photograph.width)
    left = int(rng.integers(photograph.width - width + 1))
    top = int(rng.integers(photograph.height - height + 1))
    scale = side / min(height, width)
    size = (max(round(width * scale), side), max(round(height * scale), side))
    part = photograph.crop((left, top, left + width, top + height)).resize(size)
    content = io.BytesIO()
    part.save(content, 'JPEG', quality=quality, subsampling='4:2:0')
    made.append(content.getvalue())
  return made


def _rate(
  do: Callable[[bytes], object], contents: Contents, seconds: float
) -> float:
  """Images a second of processor time."""
  for content in contents[:4]:
    do(content)
  done, start = 0, time.process_time()
  while time.process_time() - start < seconds:
    for content in contents:
      do(content)
    done += len(contents)
  return done / (time.process_time() - start)


def _feed(contents: Contents, seconds: float) -> tuple[float, float]:
  """Images a second of processor time, and by the clock."""
  with tempfile.TemporaryDirectory() as folder:
    file = str(pathlib.Path(folder, 'images.array_record'))
    writer = array_record_module.ArrayRecordWriter(file, records.OPTIONS)
    for content in contents:
      writer.write(content)
    writer.close()
    num = len(contents)
    images = records.Records((file,), (num,), np.arange(num))
    # Places that repeat: as many batches as there is time for.
    order = stream.Order(
      positions=np.random.default_rng(0).permutation(num),
      order=None,
      first_epoch=0,
      batch_size=_BATCH,
      sizes=(_BATCH, _BATCH),
      num_batches=-(-num // _BATCH),
      share=(0, 1, 1),
    )
    pixels = stream.Pixels(images, _SIZE, 'random')
    made = stream.batches(pixels, order, workers=0)
    try:
      next(made)
      clock, start, done = time.monotonic(), time.process_time(), 0
      while time.monotonic() - clock < 4 * seconds:
        done += len(next(made)['place'])
      spent = time.process_time() - start
      return done / spent, done / (time.monotonic() - clock)
    finally:
      made.close()
