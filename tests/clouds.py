"""Local servers that speak the protocols of S3 and of Google Cloud Storage."""

from collections.abc import Iterator
import contextlib
import socket
import subprocess
import sys
import time

import pytest

BUCKET = 'bucket'

_MOTO = ['-m', 'moto.server', '-H', '127.0.0.1', '-p']
# gcsfs ends its parts by a line feed, which the emulator takes away together
# with a carriage return before it, the last byte of one file in 256.
_GCP = """
import sys, time
from gcp_storage_emulator import server
read = server._read_raw_data
server._read_raw_data = lambda request: (read(request) or b'').replace(
  b'\\n--==0==', b'\\r\\n--==0=='
)
server.create_server(
  '127.0.0.1', int(sys.argv[1]), in_memory=True, default_bucket='bucket'
).start()
while True:
  time.sleep(60)
"""


@contextlib.contextmanager
def serve(scheme: str) -> Iterator[dict[str, str]]:
  """Runs a server with one empty bucket.

  Args:
    scheme: 's3' or 'gs'.

  Yields:
    The environment by which it is found.
  """
  if scheme == 's3':
    pytest.importorskip('s3fs')
    pytest.importorskip('moto')
    arguments = _MOTO
  else:
    pytest.importorskip('gcsfs')
    pytest.importorskip('gcp_storage_emulator')
    arguments = ['-c', _GCP]
  with socket.create_server(('127.0.0.1', 0)) as free:
    port = free.getsockname()[1]
  url = f'http://127.0.0.1:{port}'
  server = subprocess.Popen(
    [sys.executable, *arguments, str(port)],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  try:
    _wait(server, port)
    yield _environment(scheme, url)
  finally:
    server.kill()
    server.wait()


def _wait(server: subprocess.Popen, port: int) -> None:
  end = time.monotonic() + 120
  while True:
    try:
      socket.create_connection(('127.0.0.1', port), timeout=5).close()
      return
    except OSError:
      assert server.poll() is None and time.monotonic() < end
      time.sleep(0.1)


def _environment(scheme: str, url: str) -> dict[str, str]:
  if scheme == 'gs':
    return {
      'STORAGE_EMULATOR_HOST': url,
      # Or it asks Google what kind of bucket this is.
      'GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT': 'false',
    }
  return {
    'AWS_ENDPOINT_URL': url,
    'AWS_ACCESS_KEY_ID': 'nobody',
    'AWS_SECRET_ACCESS_KEY': 'nothing',
    'AWS_DEFAULT_REGION': 'us-east-1',
    'AWS_EC2_METADATA_DISABLED': 'true',
  }
