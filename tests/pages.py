"""The Markdown pages of the repository, taken apart for tests."""

from collections.abc import Iterator
import pathlib
import re
import shlex
from typing import NamedTuple

import markdown_it
from markdown_it.token import Token

REPOSITORY = pathlib.Path(__file__).parent.parent
_FOLDERS = ('configs', 'experiments', 'sce_jax', 'tests', '.github')
NAMES = [
  'README.md',
  *(
    str(path.relative_to(REPOSITORY))
    for folder in _FOLDERS
    for path in sorted((REPOSITORY / folder).rglob('*.md'))
  ),
]


class Cell(NamedTuple):
  """A cell of a table: its plain text, its code spans, where it links to."""

  text: str
  codes: list[str]
  links: list[str]


def links(name: str) -> list[str]:
  """Where a page's links and pictures lead to.

  Args:
    name: the page, by its path from the top of the repository.
  """
  found = [t.attrGet('href') or t.attrGet('src') for t in _tokens(name)]
  return [str(link) for link in found if link]


def anchors(text: str) -> set[str]:
  """What GitHub calls the headings of a page, in links."""
  headings = re.findall(r'^#+ (.+)$', text, re.MULTILINE)
  plain = (re.sub(r'[^\w\- ]', '', x.lower()) for x in headings)
  return {x.strip().replace(' ', '-') for x in plain}


def blocks(name: str, language: str) -> list[str]:
  """The code blocks of a page in a language."""
  return [
    t.content for t in _tokens(name) if t.type == 'fence' and t.info == language
  ]


def rows(name: str) -> list[list[Cell]]:
  """The rows of a page's tables, those of headings included."""
  found: list[list[Cell]] = []
  in_cell = False
  for token in _tokens(name):
    if token.type == 'tr_open':
      found.append([])
    elif token.type in ('td_open', 'th_open'):
      in_cell = True
    elif in_cell and token.type == 'inline':
      parts = token.children or ()
      found[-1].append(
        Cell(
          ''.join(t.content for t in parts),
          [t.content for t in parts if t.type == 'code_inline'],
          [str(t.attrGet('href')) for t in parts if t.type == 'link_open'],
        )
      )
      in_cell = False
  return found


def commands(name: str) -> list[list[str]]:
  """The commands of a page, split into words.

  They stand in shell blocks, in code spans, and after 'command: '.

  Raises:
    ValueError: one has a quote that is not closed.
  """
  lines = [
    line
    for block in blocks(name, 'bash')
    for line in block.replace('\\\n', ' ').splitlines()
  ]
  for token in _tokens(name):
    if token.type == 'code_inline':
      lines.append(token.content)
    elif token.type == 'text' and token.content.startswith('command: '):
      lines.append(token.content.removeprefix('command: '))
  found: list[list[str]] = [[]]
  while lines:
    for word in shlex.split(lines.pop(0), comments=True):
      if word in ('&&', '|', ';'):
        found.append([])
        continue
      found[-1].append(word)
      if ' ' in word and 'launch.py' in word:  # What another machine is to run.
        lines.append(word.partition('=')[2])
    found.append([])
  return [command for command in found if command]


def _tokens(name: str) -> Iterator[Token]:
  """All tokens of a page, also those inside a line."""
  parser = markdown_it.MarkdownIt('commonmark').enable('table')
  for token in parser.parse((REPOSITORY / name).read_text()):
    yield token
    yield from token.children or ()
