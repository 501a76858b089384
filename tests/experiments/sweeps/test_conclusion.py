"""What a sweep prints in the end."""

from experiments.analysis import plots
from experiments.sweeps import conclusion
from experiments.sweeps.manifest import Entry
from sce_jax.storage import digests


def test_the_ranking_says_which_seeds_diverged(tmp_path, monkeypatch, capsys):
  results = {
    ('ce', 0): {'test_accuracy': 0.6, 'test': None},
    ('ce', 1): {'test_accuracy': 0.7, 'test': None},
    ('sl', 0): {'test_accuracy': 0.9, 'test': None},
    ('sl', 1): {'failed': 'the loss is not finite'},
  }
  entries = []
  for (loss, seed), result in results.items():
    folder = tmp_path / f'{loss}-{seed}'
    folder.mkdir()
    name = 'failed.json' if 'failed' in result else 'result.json'
    (folder / name).write_text(digests.dumps(result))
    config = {'loss': {'name': loss}, 'seed': seed}
    entries.append(Entry(folder.name, str(folder), config))
  monkeypatch.setattr(plots, 'plot_runs', lambda groups, path: path)
  conclusion.show(entries, tmp_path / 'sweep.png')
  _, _, first, second, *_ = capsys.readouterr().out.splitlines()
  assert first.split() == ['1.', 'sl', '90.0', '%', '1,', '1', 'diverged']
  # The deviation is 10 / sqrt(2).
  assert second.split() == ['2.', 'ce', '65.0', '%', '±', '7.1', '2']
