"""The audit's page: what it embeds, and what a browser makes of it."""

import base64
import dataclasses
import hashlib
import html
import io
import json
import re

import numpy as np
from PIL import Image
import pytest

from experiments.audit import files, page
from sce_jax import label_issues
from sce_jax.data import ids, label_files
from tests import browser, synthetic

CLASSES = ('<b>0', '</script><script>alert(1)</script>', *'23456789')
# 70 examples, all of which are issues: labelled 0 or 1, and seem to be 2 or 3.
SIZE = 70


def found():
  """A data set of which each example is an issue, the first most of all."""
  dataset = synthetic.data(train=SIZE)
  info = dataclasses.replace(dataset.info, class_names=CLASSES)
  train = dataclasses.replace(
    dataset.train,
    image=dataset.train.image.repeat(3, axis=3),
    # No number that JavaScript has.
    example_id=2**62 + np.arange(SIZE, dtype=np.int64),
  )
  labels = np.arange(SIZE) % 2
  probability = np.zeros((SIZE, 10))
  share = 0.9 - 0.005 * np.arange(SIZE)
  probability[np.arange(SIZE), labels] = 1 - share
  probability[np.arange(SIZE), 2 + (np.arange(SIZE) >= 60)] = share
  issues = label_issues.judge(labels, probability, example_id=train.example_id)
  issues = dataclasses.replace(issues, is_issue=np.ones(SIZE, bool))
  return issues, dataclasses.replace(dataset, train=train, info=info)


def test_what_is_suggested_comes_back_right(tmp_path):
  issues, dataset = found()
  path = tmp_path / 'suggestions.csv'
  for titles, last in (
    (tuple('0123456789'), '3'),
    (tuple('abcdefghij'), '3'),
    # Numbers, but not their places: the fourth class is called 4.
    (tuple(map(str, range(1, 11))), '4'),
  ):
    info = dataclasses.replace(dataset.info, class_names=titles)
    made = dataclasses.replace(dataset, info=info)
    written = page.page_data(issues, made)['written']
    names = page.example_names(issues, made)
    path.write_text(files.suggestions_text(issues, names, written))
    assert path.read_text().endswith(f',{last}\n')
    labels = label_files.read_choices(path, titles)[1]
    assert labels.tolist() == [2] * 60 + [3] * 10


def text():
  return page.page_text(*found(), 'Labels & <more>')


def embedded(source):
  (data,) = re.findall(r'id="data">(.*?)</script>', source, re.DOTALL)
  return json.loads(data)


@pytest.mark.faults
def test_page_needs_nothing_else():
  source = text()
  assert '<h1>Labels &amp; &lt;more&gt;</h1>' in source
  assert source.count('</script>') == 2
  assert not re.search(r'(?:src|href)="(?!data:)|https?://|@import', source)
  data = embedded(source)
  assert data['classes'] == list(CLASSES)
  assert data['id'][:2] == [str(2**62), str(2**62 + 1)]
  assert data['given'][:3] == [0, 1, 0]
  assert data['suggested'] == [2] * 60 + [3] * 10
  assert data['suggested_probability'][1] == 0.895
  assert data['given_probability'][1] == 0.105
  assert {
    len(data[name])
    for name in data
    if name not in ('key', 'classes', 'written')
  } == {SIZE}


@pytest.mark.faults
def test_only_the_pages_own_script_and_style_run():
  source = text()
  (policy,) = re.findall(r'Security-Policy" content="(.*?)">', source)
  allowed = html.unescape(policy)
  assert "default-src 'none'" in allowed and 'unsafe' not in allowed
  for kind in ('script', 'style'):
    (held,) = re.findall(f'<{kind}>(.*?)</{kind}>', source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(held.encode()).digest()).decode()
    assert f"{kind}-src 'sha256-{digest}'" in allowed


def test_only_the_first_of_many_issues_are_there(monkeypatch):
  monkeypatch.setattr(page, '_MOST', 20)
  source = text()
  assert '70 of 70 labels to look at' in source
  assert 'the first 20 are here' in source
  assert len(embedded(source)['id']) == 20


def opened(uri, kind):
  head, encoded = uri.split(',')
  assert head == f'data:image/{kind};base64'
  return Image.open(io.BytesIO(base64.b64decode(encoded)))


def test_thumbnails():
  grey = np.array([[[0], [4]], [[8], [16]]], np.uint8)
  shown = opened(page.thumbnail(grey, 16.0), 'png')
  # 4 / 16 * 255 = 63.75, 8 / 16 * 255 = 127.5.
  np.testing.assert_array_equal(np.asarray(shown), [[0, 64], [128, 255]])
  red = np.zeros((300, 200, 3), np.uint8)
  red[..., 0] = 200
  shown = opened(page.thumbnail(red, 255.0), 'webp')
  assert shown.size == (64, 96)
  np.testing.assert_allclose(np.asarray(shown)[40, 30], [200, 0, 0], atol=4)
  other = np.concatenate([grey, grey[::-1]], axis=2)
  shown = opened(page.thumbnail(other, 16.0), 'png')
  np.testing.assert_array_equal(np.asarray(shown), [[0, 64], [128, 255]])


PRESS = """
  const press = (...keys) => keys.forEach((key) =>
    document.activeElement.dispatchEvent(
      new KeyboardEvent('keydown', {key, bubbles: true})));
  const set = (id, value) => {
    document.getElementById(id).value = value;
    document.getElementById(id).dispatchEvent(new Event('change'));
  };
  const cards = () => [...document.querySelectorAll('.card')];
  const rows = () => cards().map((card) => card.dataset.row);
  const stored = () => JSON.parse(localStorage.getItem(data.key));
"""


@browser.NEEDED
def test_keys_and_buttons_decide_and_the_choices_are_exported(tmp_path):
  script = f"""{PRESS}
    localStorage.clear();
    press('ArrowRight', 'k', 'r', 'd', 'r', 'u', 'ArrowLeft', 'ArrowLeft', 'u');
    cards()[9].querySelector('.drop').click();
    cards()[8].querySelector('.keep').click();
    cards()[8].querySelector('.keep').click();
    result = [
      csv(), stored().length, document.getElementById('count').textContent,
      cards()[9].dataset.choice, cards()[1].textContent,
    ];
  """
  made, stored, count, choice, card = browser.evaluate(text(), script, tmp_path)
  first = 2**62
  # The fourth was relabelled; then the cursor was on the fifth, and went back
  # to the third, which was undone.
  assert made.splitlines() == [
    'example_id,label',
    f'{first},0',
    f'{first + 1},2',
    f'{first + 3},2',
    f'{first + 9},drop',
  ]
  assert (stored, choice) == (4, 'drop')
  assert count == '70 shown, 4 of 70 decided'
  # Names of classes are text.
  assert f'given: {CLASSES[1]}' in card


def exported(issues, dataset, keys, folder):
  """The table of choices after some keys on a new page."""
  source = page.page_text(issues, dataset, 'Choices')
  pressed = ', '.join(map(repr, keys))
  script = f'{PRESS} localStorage.clear(); press({pressed}); result = csv();'
  return browser.evaluate(source, script, folder)


@pytest.mark.faults
@browser.NEEDED
def test_names_of_files_are_exported_as_csv_has_them(tmp_path):
  issues, dataset = found()
  names = np.array([f'a, "{row}".png' for row in range(SIZE)])
  dataset = dataclasses.replace(dataset, train_names=names)
  made = exported(issues, dataset, ['ArrowRight', 'd'], tmp_path)
  path = tmp_path / 'choices.csv'
  path.write_text(made)
  numbers, labels = label_files.read_choices(path)
  assert labels.tolist() == [label_files.DROP]
  assert numbers.tolist() == ids.to_numbers(names[:1]).tolist()


@browser.NEEDED
def test_choices_have_titles_where_these_are_numbers(tmp_path):
  issues, dataset = found()
  titles = tuple(map(str, range(1, 11)))
  info = dataclasses.replace(dataset.info, class_names=titles)
  dataset = dataclasses.replace(dataset, info=info)
  # The suggested class is the third, which is called 3.
  made = exported(issues, dataset, ['ArrowRight', 'r'], tmp_path)
  assert made == f'example_id,label\n{2**62},3\n'


@browser.NEEDED
def test_filters_sorts_and_pages(tmp_path):
  script = f"""{PRESS}
    localStorage.clear();
    result = [rows().length];
    document.getElementById('next').click();
    result.push(rows().join(' '));
    set('pair', '1,3');
    result.push(rows().join(' '));
    set('given', '0');
    result.push(rows().join(' '));
    set('sort', 'given_probability');
    set('given', '');
    set('sort', 'suggested_probability');
    press('ArrowRight', 'd');
    set('decided', 'drop');
    result.push(rows().join(' '));
    set('suggested', '');
    set('decided', 'no');
    result.push(document.getElementById('count').textContent);
    press('ArrowRight', 'ArrowLeft');
    for (let i = 0; i < 60; i++) press('ArrowRight');
    result.push(document.activeElement.dataset.row);
    press('ArrowLeft');
    result.push(document.activeElement.dataset.row);
  """
  assert browser.evaluate(text(), script, tmp_path) == [
    60,
    '60 61 62 63 64 65 66 67 68 69',
    '61 63 65 67 69',
    '60 62 64 66 68',
    '60',
    '69 shown, 1 of 70 decided',
    # Past the last card of a page comes the first of the next; and back.
    '61',
    '59',
  ]


@browser.NEEDED
@pytest.mark.parametrize('width', [320, 1366])
def test_page_does_not_scroll_sideways(width, tmp_path):
  script = f"""
    document.documentElement.style.width = '{width}px';
    const most = document.body.getBoundingClientRect().left + {width};
    result = [...document.querySelectorAll('.card, #bar, .card *')].filter(
      (part) => part.getBoundingClientRect().right > most + 1).length;
  """
  assert browser.evaluate(text(), script, tmp_path) == 0
