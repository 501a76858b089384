"""Run folders read back: what is found, and what is refused."""

import json

import pytest

from configs import digits
from experiments.report import runs_page
from sce_jax import errors, train
from sce_jax.config.check import check_config
from sce_jax.runs import files, read, restore, workdir
from tests.data.reading import told


def make(folder, dataset='digits', seed=0, alpha=0.1, result=None, failed=None):
  folder.mkdir(parents=True)
  config = {
    'seed': seed,
    'data': {'name': dataset, 'limit': None},
    'loss': {'name': 'sl', 'alpha': alpha},
    'noise': {'name': 'symmetric', 'rate': 0.4},
  }
  description = {
    'format': 2,  # Without digests, as of earlier versions.
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
          'epochs': 1,
          'memorised': 0.25,
          'train_seconds': 1.5,
          'test': test,
          'validation': {'accuracy': 0.5},
        }
      )
    )
    record = {'epoch': 1, 'step': 5, 'test': {'accuracy': result}}
    (folder / 'metrics.jsonl').write_text(json.dumps(record) + '\n')
  if failed:
    (folder / 'failed.json').write_text(json.dumps({'failed': failed}))


def tiny():
  return digits.get_config('ce,symmetric,0.4,tiny')


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


@pytest.mark.parametrize(
  ('make_them', 'dataset', 'message'),
  [
    (lambda path: None, None, 'holds no runs (no config.json below it)'),
    (lambda path: make(path / 'a'), 'mnist', 'holds no runs on mnist'),
  ],
)
def test_what_makes_no_table_is_refused(make_them, dataset, message, tmp_path):
  make_them(tmp_path)
  with pytest.raises(errors.UserError) as caught:
    runs_page.report(tmp_path, dataset)
  assert message in str(caught.value)
  assert len(str(caught.value).splitlines()) == 1
  assert not list(tmp_path.rglob('report*'))


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
  assert 'validation accuracy' in text and '50.0 ± 0.0' in text
  for status in ('finished', 'failed', 'unfinished'):
    assert f'| {status} ' in text
  assert '2 finished, 1 failed, 1 unfinished' in text
  assert 'cpu test' in text
  assert 'mnist' not in text
  assert 'loss is not finite at step 7' in written.html.read_text()
  assert written.html.parent == tmp_path / 'report-digits'
  assert str(written.html) in capsys.readouterr().out


def test_data_sets_are_sections_of_a_report(tmp_path):
  make(tmp_path / 'a', seed=0, result=0.5)
  make(tmp_path / 'b', seed=1, result=0.75)
  make(tmp_path / 'c', 'mnist', seed=5, result=0.125)
  with pytest.raises(errors.UserError, match='different data, digits, mnist'):
    read.find(tmp_path)
  written = runs_page.report(tmp_path)
  text = written.markdown.read_text()
  digits_part, mnist_part = text.split('## Results on mnist')
  assert '## Results on digits' in digits_part
  assert '62.5 ± 17.7' in digits_part and '12.5' not in digits_part
  assert '12.5' in mnist_part and '62.5' not in mnist_part
  assert {path.name for path in written.tables} >= {
    'digits-results.csv',
    'mnist-results.csv',
  }
  # Runs of different data are not compared with each other either.
  html = written.html.read_text()
  assert html.count('class="compare"') == 1


def test_runs_are_named_by_what_matters(tmp_path):
  for number, every in enumerate((10, 30)):
    for alpha in (0.1, 0.2):
      folder = tmp_path / f'{number}-{alpha}'
      make(folder, seed=number, alpha=alpha, result=0.5)
      description = json.loads((folder / 'config.json').read_text())
      config = description['config']
      config |= {'checkpoint': {'every': every}, 'eval': {'batch_size': every}}
      config['noise']['rate'] = [0.2, 0.4][alpha > 0.1]
      (folder / 'config.json').write_text(json.dumps(description))
      (folder / 'run.png').write_bytes(b'')
  written = runs_page.report(tmp_path)
  rows = {path.name: path.read_text().splitlines() for path in written.tables}
  assert [row.split(',5')[0] for row in rows['results.csv'][1:]] == [
    '"SL, loss.alpha=0.1, symmetric 0.2"',
    '"SL, loss.alpha=0.2, symmetric 0.4"',
  ]
  heading = rows['runs.csv'][0].split(',')
  # Accuracy beside the name, the device last, nothing of keeping books.
  assert heading[:2] == ['run', 'test accuracy (%)']
  assert heading[-1] == 'device' and 'checkpoint.every' not in heading
  page = written.html.read_text()
  assert 'href="../0-0.1/run.png"' in page
  # Who compares two runs is told all that they differ in.
  assert '"checkpoint.every":"30"' in page


def test_a_seed_counts_once_however_often_it_was_run(tmp_path):
  results = {
    # Seeds 0 and 1, each with its figures taken at two rates.
    (0, 1): {'failed': 'the loss is not finite'},
    (0, 3): {'result': 0.70},
    (1, 1): {'result': 0.74},
    (1, 3): {'result': 0.74},
  }
  for (seed, every), ended in results.items():
    folder = tmp_path / f'{seed}-{every}'
    make(folder, seed=seed, **ended)
    description = json.loads((folder / 'config.json').read_text())
    description['config']['eval'] = {'train_every': every}
    (folder / 'config.json').write_text(json.dumps(description))
  text = runs_page.report(tmp_path).markdown.read_text()
  # The mean of 70 and 74, their deviation 4 / sqrt(2).
  assert '72.0 ± 2.8' in text and '2 of 2' in text
  assert '2 runs left out here, as another run has' in text
  # All are listed.
  assert '3 finished, 1 failed' in text and text.count('| failed ') == 1


def test_a_report_changes_no_file_that_was_there(tmp_path):
  make(tmp_path / 'a', seed=0, result=0.5)
  make(tmp_path / 'b', seed=1, result=0.75)
  # A comparison and a run write results.csv.
  for folder in (tmp_path, tmp_path / 'a'):
    (folder / 'results.csv').write_text('mine')
  before = {p: p.read_bytes() for p in tmp_path.rglob('*') if p.is_file()}
  for root in (tmp_path, tmp_path, tmp_path / 'a'):
    written = runs_page.report(root)
    assert written.html.parent == root / 'report'
  assert all(path.read_bytes() == content for path, content in before.items())


def test_a_frame_has_a_row_per_finished_run(tmp_path):
  make(tmp_path / 'a', seed=0, result=0.5)
  make(tmp_path / 'b', seed=1, result=0.75, alpha=0.2)
  make(tmp_path / 'c', seed=2, failed='the loss is not finite')
  make(tmp_path / 'd', seed=3)
  make(tmp_path / 'e', dataset='mnist', seed=7, result=0.25)
  runs = read.frame(tmp_path)
  assert runs.to_dict('records')[1] == {
    'dataset': 'digits',
    'method': 'sl',
    'noise': 'symmetric',
    'rate': 0.4,
    'seed': 1,
    'loss.alpha': 0.2,
    'epochs': 1,
    'test_accuracy': 0.75,
    'worst_class': 0.75,
    'memorised': 0.25,
    'validation_accuracy': 0.5,
    'train_seconds': 1.5,
    'noisy_test': False,
    'folder': str(tmp_path / 'b'),
  }
  # mnist's only run differs from no other on its data.
  assert runs['loss.alpha'].isna().tolist() == [False, False, True]
  accuracy = runs.groupby('dataset').test_accuracy.mean()
  assert accuracy.to_dict() == {'digits': 0.625, 'mnist': 0.25}
  assert read.frame(tmp_path, 'mnist').seed.tolist() == [7]


def test_a_frame_without_finished_runs_has_its_columns(tmp_path):
  make(tmp_path / 'a')
  runs = read.frame(tmp_path)
  assert not len(runs)
  assert {'dataset', 'method', 'seed', 'test_accuracy'} <= set(runs.columns)
  (tmp_path / 'empty').mkdir()
  with pytest.raises(errors.UserError, match='holds no runs'):
    read.frame(tmp_path / 'empty')


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


# The content of files of other programs, or of ours that were damaged, and what
# is said of them.
FOREIGN = {
  'a list': ('config.json', '[1, 2]', 'of another program'),
  'another program': ('config.json', '{"model_type": "bert"}', 'of another pr'),
  'a text': ('config.json', '{"format": 2, "config": "bert"}', 'of another'),
  'nothing in it': ('config.json', '{"config": null}', 'of another program'),
  'null': ('config.json', 'null', 'of another program'),
  'other sections': (
    'config.json',
    '{"format": 2, "config": {"data": "x", "loss": 3, "noise": {}}}',
    'of another program',
  ),
  'empty': ('config.json', '', 'is not of a run (Expecting value'),
  'cut': ('config.json', '{"format": 2, "con', 'is not of a run (Untermin'),
  'no text': ('config.json', b'\xff\xfe\x00', "is not of a run ('utf-"),
  'deep': ('config.json', '[' * 10**5, 'is not of a run ('),
  'cut result': ('result.json', '{"test_accuracy": 0.', 'is damaged (Expec'),
  'empty result': ('result.json', '', 'is damaged (Expecting value'),
  'null result': ('result.json', 'null', 'is damaged (it holds a NoneType)'),
  'other result': ('result.json', '{"a": 1}', "damaged (it lacks 'test_acc"),
  'cut failure': ('failed.json', '{"fail', 'is damaged (Unterminated'),
  'cut data': ('dataset.json', '{"info": {"nam', 'is damaged (Untermin'),
  'cut noise': ('noise.json', '{"rate": 0.4, "mat', 'is damaged (Untermin'),
}


@pytest.mark.faults
@pytest.mark.parametrize(
  ('name', 'content', 'reason'), FOREIGN.values(), ids=FOREIGN
)
def test_what_is_not_a_run_is_skipped_with_a_line(
  name, content, reason, tmp_path, capsys
):
  make(tmp_path / 'a', seed=0, result=0.5)
  make(tmp_path / 'b', seed=1)
  data = content if isinstance(content, bytes) else content.encode()
  (tmp_path / 'b' / name).write_bytes(data)
  found = read.find(tmp_path)
  assert [run.folder.name for run in found] == ['a']
  (line,) = capsys.readouterr().out.splitlines()
  assert line.startswith(f'skipped: {tmp_path / "b" / name} ')
  assert reason in line


@pytest.mark.faults
def test_a_folder_named_as_the_record_is_skipped(tmp_path, capsys):
  make(tmp_path / 'a')
  (tmp_path / 'b' / 'config.json').mkdir(parents=True)
  assert [run.folder.name for run in read.find(tmp_path)] == ['a']
  assert 'config.json cannot be read (Is a dir' in capsys.readouterr().out


@pytest.mark.faults
@pytest.mark.parametrize(
  'content',
  [
    b'',
    b'{"epoch": 1, "st',
    b'\xff\xfe',
  ],
)
def test_a_report_takes_the_epochs_that_are_whole(content, tmp_path):
  make(tmp_path / 'a', seed=0, result=0.5)
  make(tmp_path / 'b', seed=1, result=0.5)
  path = tmp_path / 'b' / 'metrics.jsonl'
  path.write_bytes(content)
  assert files.read_metrics(tmp_path / 'b') == []
  runs_page.report(tmp_path)
  path.write_bytes((tmp_path / 'a' / 'metrics.jsonl').read_bytes() + content)
  assert [m['epoch'] for m in files.read_metrics(tmp_path / 'b')] == [1]


@pytest.mark.faults
@pytest.mark.parametrize(
  'content', [b'[1, 2]\n', b'null\n', b'{"a": 1}\n', b'\xff\xfe\n']
)
def test_a_damaged_line_is_named(content, tmp_path, capsys):
  make(tmp_path / 'a', seed=0, result=0.5)
  make(tmp_path / 'b', seed=1, result=0.5)
  path = tmp_path / 'b' / 'metrics.jsonl'
  path.write_bytes(path.read_bytes() + content)
  assert [run.folder.name for run in read.find(tmp_path)] == ['a']
  assert f'skipped: {path}, line 2 is damaged (' in capsys.readouterr().out


def content_of(folder):
  return {
    x: x.read_bytes()
    for x in folder.rglob('*')
    if x.is_file() and x.name != '.lock'
  }


@pytest.mark.faults
@pytest.mark.parametrize(
  ('name', 'content', 'reason'),
  [case for case in FOREIGN.values() if case[0] == 'config.json'],
  ids=[key for key, case in FOREIGN.items() if case[0] == 'config.json'],
)
def test_nothing_is_trained_or_evaluated_in_another_programs_folder(
  name, content, reason, tmp_path, data_dir
):
  data = content if isinstance(content, bytes) else content.encode()
  (tmp_path / name).write_bytes(data)
  (tmp_path / 'metrics.jsonl').write_text('not ours')
  before = content_of(tmp_path)
  for call in (
    lambda: train.train_and_evaluate(tiny(), tmp_path, data_dir),
    lambda: restore.evaluate_run(tmp_path, data_dir),
  ):
    message = told(call)
    assert message.startswith(f'{tmp_path / name} ')
    assert reason in message
    assert message.endswith(': name another folder with --workdir')
  assert content_of(tmp_path) == before


@pytest.mark.faults
@pytest.mark.parametrize(
  'name', ['metrics.jsonl', 'result.json', 'results.csv', 'noise.json']
)
def test_files_that_a_run_would_overwrite_are_refused(name, tmp_path, data_dir):
  folder = tmp_path / 'b'
  folder.mkdir()
  (folder / name).write_text('not ours')
  before = content_of(tmp_path)
  # Before any of the runs is begun.
  message = told(
    train.train_many, [tiny(), tiny()], [tmp_path / 'a', folder], data_dir
  )
  assert message == (
    f'{folder} has no config.json, but {name}, which a run would overwrite:'
    ' name another folder with --workdir'
  )
  assert content_of(tmp_path) == before


@pytest.mark.faults
@pytest.mark.parametrize(
  ('name', 'content', 'reason'),
  [
    ('dataset.json', '', 'Expecting value'),
    ('dataset.json', '[]', 'it holds a list'),
  ],
)
def test_a_damaged_record_is_named_and_kept(
  name, content, reason, tmp_path, data_dir
):
  workdir.Workdir(tmp_path, check_config(tiny())).close()
  (tmp_path / name).write_text(content)
  before = content_of(tmp_path)
  message = told(train.train_and_evaluate, tiny(), tmp_path, data_dir)
  assert message.startswith(f'{tmp_path / name} is damaged ({reason}')
  assert message.endswith('or remove it and train again with the same command')
  after = content_of(tmp_path)
  assert {path: after[path] for path in before} == before
