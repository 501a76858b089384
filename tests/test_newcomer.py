"""A newcomer's path: a folder of images to the page of its audit."""

import pytest

from tests import newcomer


@pytest.mark.slow
def test_wrong_labels_of_a_folder_are_found(tmp_path, capfd, monkeypatch):
  monkeypatch.setenv('XLA_FLAGS', '')  # One device, as a newcomer has.
  newcomer.main(tmp_path)
  out = capfd.readouterr().out
  assert '2,000 labels; estimated share of wrong ones: 1' in out
  page = (tmp_path / 'audit' / 'audit.html').read_text()
  assert 'data:image/png;base64,' in page
  hit = int(out.split('of 260 wrong labels ')[1].split()[0])
  assert hit >= 234  # Nine of ten.
