"""Run folders read back: what is found, and what is refused."""

import json

import pytest

from configs import digits
from experiments.report import runs_page
from sce_jax import errors
from sce_jax.runs import files, read


def make(folder, dataset='digits', seed=0, alpha=0.1, result=None, failed=None):
  folder.mkdir(parents=True)
  config = {
    'seed': seed,
    'data': {'name': dataset, 'limit': None},
    'loss': {'name': 'sl', 'alpha': alpha},
    'noise': {'name': 'symmetric', 'rate': 0.4},
  }
  description = {
    'format': files.FORMAT,
    'config': config,
    'created': '2026-01-02T03:04:05+00:00',
    'python': '3.11.7',
    'versions': {'jax': '0.10.2'},
    'devices': ['cpu test'],
    'git_commit': None,
  }
  (folder / 'config.json').write_text(json.dumps(description))
  if result is not None:
    test = {'class_accuracy': [result, None, 1.0]}
    (folder / 'result.json').write_text(
      json.dumps(
        {
          'test_accuracy': result,
          'memorised': 0.25,
          'train_seconds': 1.5,
          'test': test,
        }
      )
    )
    record = {'epoch': 1, 'test': {'accuracy': result}}
    (folder / 'metrics.jsonl').write_text(json.dumps(record) + '\n')
  if failed:
    (folder / 'failed.json').write_text(json.dumps({'failed': failed}))


def test_runs_are_labelled_by_what_they_differ_in(tmp_path):
  make(tmp_path / 'a', seed=0, alpha=0.1)
  make(tmp_path / 'deep' / 'b', seed=1, alpha=0.2)
  make(tmp_path / 'a' / 'prepare', seed=5)  # No run of its own.
  (tmp_path / 'other').mkdir()
  (tmp_path / 'other' / 'config.json').write_text('{"not": "ours"}')
  found = read.find(tmp_path)
  assert [dict(r.labels) for r in found] == [
    {'loss.alpha': '0.1', 'seed': '0'},
    {'loss.alpha': '0.2', 'seed': '1'},
  ]


def test_how_runs_have_ended(tmp_path):
  make(tmp_path / 'a', seed=0, result=0.5)
  make(tmp_path / 'b', seed=1, failed='the loss is not finite')
  make(tmp_path / 'c', seed=2)
  found = read.find(tmp_path)
  missing = read.Run(tmp_path / 'd', {'seed': '3'}, found[0].config)
  assert [r.status for r in [*found, missing]] == [
    'finished',
    'failed',
    'unfinished',
    'missing',
  ]
  assert found[1].failure == 'the loss is not finite'
  assert found[1].result is None
  assert read.finished(found) == found[:1]


@pytest.mark.parametrize(
  ('make_them', 'dataset', 'message'),
  [
    (lambda path: None, None, 'holds no runs (no config.json below it)'),
    (lambda path: make(path / 'a'), 'mnist', 'holds no runs on mnist'),
    (
      lambda path: (make(path / 'a'), make(path / 'b', 'mnist')),
      None,
      'holds runs on different data, digits, mnist',
    ),
  ],
)
def test_what_makes_no_table_is_refused(make_them, dataset, message, tmp_path):
  make_them(tmp_path)
  with pytest.raises(errors.UserError) as caught:
    runs_page.report(tmp_path, dataset)
  assert message in str(caught.value)
  assert len(str(caught.value).splitlines()) == 1
  assert not (tmp_path / 'report.html').exists()


def test_a_report_shows_every_run_as_what_it_is(tmp_path, capsys):
  make(tmp_path / 'a', seed=0, result=0.5)
  make(tmp_path / 'b', seed=1, result=0.75)
  make(tmp_path / 'c', seed=2, failed='the loss is not finite at step 7')
  make(tmp_path / 'd', alpha=0.3)
  make(tmp_path / 'e', dataset='mnist')
  written = runs_page.report(tmp_path, 'digits')
  text = written.markdown.read_text()
  # Mean of a half and three quarters; of these runs' three classes the second
  # has no example.
  assert '62.5 ± 17.7' in text
  for status in ('finished', 'failed', 'unfinished'):
    assert f'| {status} |' in text
  assert '2 finished, 1 failed, 1 unfinished' in text
  assert 'cpu test' in text
  assert 'mnist' not in text
  assert 'loss is not finite at step 7' in written.html.read_text()
  assert str(written.html) in capsys.readouterr().out


def test_a_runs_name_tells_its_config():
  first, second = digits.get_config('sl,symmetric,0.4'), digits.get_config('ce')
  name = read.run_name(first)
  assert name.startswith('digits-sl-symmetric-0.4-seed0-')
  assert name != read.run_name(second)
  assert name == read.run_name(first.to_dict())


def test_a_run_of_another_version_is_refused(tmp_path):
  make(tmp_path / 'a')
  path = tmp_path / 'a' / 'config.json'
  path.write_text(path.read_text().replace('"format": 2', '"format": 1'))
  with pytest.raises(errors.UserError, match='folder format 1') as caught:
    read.find(tmp_path)
  assert '\n' not in str(caught.value)
