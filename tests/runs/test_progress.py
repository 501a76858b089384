"""Where a line is redrawn, where lines are printed, and what fits into them."""

import io
import itertools
import re
import sys
import types

import pytest

from sce_jax import loop, train
from sce_jax.parallel import preemption
from sce_jax.runs import checkpointing, files, progress, restore
from tests import synthetic


def epochs():
  shown = progress.Progress('digits sl', 2, 0)
  for epoch in (1, 2):
    shown.advance(epoch - 0.5, None)
    shown.update(epoch, 0.5, 0.25, None, None if epoch == 1 else 3.0)
  progress.log('done')
  shown.close()


def make_terminal(monkeypatch):
  """A terminal in the place of the standard error; gives what it was sent.

  No fixture: pytest sets the standard error anew for the test itself.
  """

  class Terminal(io.StringIO):
    def isatty(self):
      return True

  stream = Terminal()
  monkeypatch.setattr(sys, 'stderr', stream)
  monkeypatch.setenv('TERM', 'xterm')
  monkeypatch.delenv('NO_COLOR', raising=False)
  monkeypatch.setattr(progress, '_line', None)
  return stream


def lines(stream):
  """What was drawn, each state of the line, without colours."""
  text = re.sub(r'\x1b\[[0-9;]*[A-Za-z]', '', stream.getvalue())
  return [x.rstrip() for x in re.split('[\r\n]+', text) if x.strip()]


def test_lines(capsys):
  epochs()
  out, err = capsys.readouterr()
  first, second, last = out.splitlines()
  assert first.startswith('digits sl  epoch 1/2  loss 0.5000  test accuracy 25')
  assert first.endswith('25.00 %  compiled')
  assert second.endswith('3s left')
  assert last == 'done'
  assert err == '' and '\x1b' not in out


def test_a_bar_moves_within_an_epoch_and_leaves_its_last_state(monkeypatch):
  terminal = make_terminal(monkeypatch)
  monkeypatch.setenv('COLUMNS', '120')
  epochs()
  drawn = lines(terminal)
  assert any('█████·' in line and '0/2' in line for line in drawn)
  assert drawn[-1] == (
    'digits sl  ████████████████████  2/2  done  test 25.0 %  loss 0.500'
  )
  assert 'epoch' not in terminal.getvalue()


@pytest.mark.faults
@pytest.mark.parametrize('columns', [20, 24, 40, 80, 132])
def test_any_width_shows_the_time_left(columns, monkeypatch):
  terminal = make_terminal(monkeypatch)
  monkeypatch.setenv('COLUMNS', str(columns))
  shown = progress.Progress('cifar10 nnfl, 12 runs', 120, 0, noisy_test=True)
  shown.update(119, 0.5, 0.25, 12345.6, 3600 * 30.5)
  shown.close()
  last = lines(terminal)[-1]
  assert '1d06h left' in last
  assert all(len(line) < columns for line in lines(terminal))
  assert ('12,346 images/s' in last) == (columns == 132)
  assert ('noisy test 25.0 %' in last) == (columns >= 80)


@pytest.mark.parametrize('setting', [{'NO_COLOR': '1'}, {'TERM': 'dumb'}])
def test_no_colours_where_none_are_wanted(setting, monkeypatch):
  terminal = make_terminal(monkeypatch)
  assert progress.styled('a', 'red', terminal) == '\x1b[31ma\x1b[0m'
  assert progress.styled('a', 'red', io.StringIO()) == 'a'
  for name, value in setting.items():
    monkeypatch.setenv(name, value)
  assert progress.styled('a', 'red', terminal) == 'a'


def test_a_notebook_has_one_output(monkeypatch):
  sent = []

  class Handle:
    def update(self, data, raw):
      sent.append(('update', data['text/plain']))

  def display(data, raw, display_id):
    sent.append(('new', data['text/plain']))
    return Handle()

  stream = type('Stream', (io.StringIO,), {'__module__': 'ipykernel.iostream'})
  monkeypatch.setattr(sys, 'stdout', stream())
  monkeypatch.setattr('IPython.display.display', display)
  monkeypatch.setattr(progress, '_line', None)
  epochs()
  assert [kind for kind, _ in sent].count('new') == 1
  assert sent[0][0] == 'new'
  assert '2/2  done' in sent[-1][1]


def test_a_phase_says_what_it_waits_for(monkeypatch):
  terminal = make_terminal(monkeypatch)
  monkeypatch.setenv('COLUMNS', '80')
  with progress.phase('imports'):
    pass
  assert set(lines(terminal)) == {'imports ...'}


@pytest.mark.parametrize(
  ('seconds', 'text'),
  [(0.4, '0s'), (125, '2m05s'), (12000, '3h20m'), (3600 * 103, '4d07h')],
)
def test_durations(seconds, text):
  assert progress.duration(seconds) == text


def test_the_rate_of_a_resumed_epoch_counts_what_was_trained(
  small_network, tmp_path, monkeypatch
):
  """Of 44 images a first batch of 16 before, the others after it."""
  config = synthetic.config()
  config.model.name = 'digits_cnn'
  config.train.steps_per_dispatch = 1

  def go():
    train.train_and_evaluate(config, tmp_path, dataset=synthetic.data())

  with monkeypatch.context() as patch:
    handler = preemption.PreemptionHandler
    patch.setattr(handler, 'should_stop', lambda self: True)
    with pytest.raises(preemption.Preempted, match='saved at step 1'):
      go()
  ticks = itertools.count()
  clock = types.SimpleNamespace(monotonic=lambda: float(next(ticks)))
  monkeypatch.setattr(loop, 'time', clock)
  before = checkpoint_seconds(tmp_path)
  go()
  first, second = files.read_metrics(tmp_path)
  # The clock was read once more between the two figures.
  taken = first['seconds'] - before - 1
  assert first['images_per_second'] * taken == pytest.approx(28, abs=1)
  taken = second['seconds'] - first['seconds']
  assert second['images_per_second'] * taken == pytest.approx(44, abs=1)


def checkpoint_seconds(folder):
  """How long a run had taken when it saved its last checkpoint."""
  checkpoints = checkpointing.Checkpoints(files.checkpoints(folder), None)
  like = restore.load(folder).trainer.abstract_state()
  _, [(_, extra)] = checkpointing.restore_newest([checkpoints], like)
  checkpoints.close()
  return extra['seconds']
