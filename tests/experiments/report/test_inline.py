"""What a notebook is given to show."""

from IPython import display
from matplotlib import pyplot as plt

from experiments.report import inline
from experiments.report.page import Cell, Figure, Heading, Table, Text


def test_show(monkeypatch):
  shown = []
  monkeypatch.setattr(display, 'display', shown.append)
  drawing, _ = plt.subplots(figsize=(2, 1))
  inline.show(
    Heading('Part'),
    Text('a * b'),
    Figure('picture', 'What is seen.', drawing),
    Table('t', 'Shares', ['loss', '%'], [['CE', Cell('1.5', 1.5)]]),
  )
  heading, text, picture, caption, table = shown
  assert heading.data == '## Part'
  assert text.data == r'a \* b'
  assert picture.data.startswith(b'\x89PNG')
  assert picture.width == 192
  assert caption.data == 'What is seen.'
  # It refers to no file.
  assert (
    table.data
    == 'Shares\n\n| loss   |   % |\n|:-------|----:|\n| CE     | 1.5 |'
  )
  assert drawing.number not in plt.get_fignums()
