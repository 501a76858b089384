"""Where a bar is drawn, and where lines are printed."""

import io
import sys

import pytest

from sce_jax.runs import progress


def epochs():
  shown = progress.Progress('digits sl', 2, 0)
  for epoch in (1, 2):
    shown.update(epoch, 0.5, 0.25, 1e3, None if epoch == 1 else 3.0)
  progress.log('done')
  shown.close()


def test_lines(capsys):
  epochs()
  out, err = capsys.readouterr()
  first, second, last = out.splitlines()
  assert first.startswith('digits sl  epoch 1/2  loss 0.5000')
  assert second.endswith('3s left')
  assert last == 'done'
  assert err == ''


@pytest.mark.parametrize('where', ['notebook', 'terminal'])
def test_a_bar(where, monkeypatch):
  # A notebook's streams are known by their module.
  module = {'notebook': 'ipykernel.iostream', 'terminal': 'io'}[where]
  stream = type('Stream', (io.StringIO,), {'__module__': module})()
  if where == 'terminal':
    monkeypatch.setattr(stream, 'isatty', lambda: True)
    monkeypatch.setattr(sys, 'stderr', stream)
  else:
    monkeypatch.setattr(sys, 'stdout', stream)
  epochs()
  assert '2/2, loss 0.5000' in stream.getvalue().split('\r')[-1]
  assert 'epoch' not in stream.getvalue()
