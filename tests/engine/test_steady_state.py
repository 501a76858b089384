"""After the first epoch nothing is traced, compiled or moved by the host."""

from jax import monitoring
import pytest

from sce_jax import train
from sce_jax.engine import evaluate
from sce_jax.engine import step as step_lib
from sce_jax.runs import progress
from tests import synthetic


@pytest.fixture
def compilations():
  """Grows with every program that XLA compiles."""
  seen = []

  def listen(event, _, **__):
    if event == '/jax/core/compile/backend_compile_duration':
      seen.append(event)

  monitoring.register_event_duration_secs_listener(listen)
  yield seen
  monitoring.unregister_event_duration_listener(listen)


def test_no_recompilation_after_the_first_epoch(
  compilations, tmp_path, monkeypatch
):
  counts = []
  traces = {'train_step': 0, 'evaluate_split': 0}

  def counting(module, name):
    original = getattr(module, name)

    def count(*args, **kwargs):
      traces[name] += 1
      return original(*args, **kwargs)

    monkeypatch.setattr(module, name, count)

  counting(step_lib, 'train_step')
  counting(evaluate, 'evaluate_split')
  update = progress.Progress.update

  def record(self, *args):
    counts.append((dict(traces), len(compilations)))
    update(self, *args)

  monkeypatch.setattr(progress.Progress, 'update', record)
  monkeypatch.setattr(
    train.dataset_lib, 'read', lambda *_, **__: synthetic.data()
  )
  config = synthetic.config()
  config.train.epochs = 4
  config.checkpoint.every = 10
  config.eval.train_every = 1
  train.train_and_evaluate(config, tmp_path / 'run')
  first, *others = counts
  # Full batches and the partial one; the test and the training split, whose
  # figures are fetched once the second epoch is dispatched.
  assert first[0] == {'train_step': 2, 'evaluate_split': 2}
  assert len(others) == 3
  assert all(later == first for later in others)
