"""Progress of a preparation where there is no terminal."""

import pytest

from sce_jax.data.sources import bar


@pytest.mark.parametrize(
  ('unit', 'line'),
  [
    ('images', 'preparing: 3,000 of 5,000 images, 01:00 left'),
    ('B', 'preparing: 3.00kB of 5.00kB, 01:00 left'),
  ],
)
def test_a_line_a_minute(unit, line, capsys, monkeypatch):
  now = 0.0
  monkeypatch.setattr(bar.time, 'monotonic', lambda: now)
  with bar.show('preparing', 5000, unit, done=1000) as advance:
    # The end needs no line: what follows says that it is done.
    for now, more in ((30, 1000), (60, 1000), (61, 0), (120, 2000)):  # noqa: B007
      advance(more)
  assert capsys.readouterr().err.splitlines() == [line]
