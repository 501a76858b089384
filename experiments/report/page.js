'use strict';
// Tables are sorted by their headings: numbers, then texts, then what is
// missing, which stays last either way.
const texts = new Intl.Collator('en', {numeric: true});

function key(row, column) {
  const cell = row.cells[column];
  if (cell.classList.contains('missing')) return {rank: 2};
  if (cell.dataset.value !== undefined) {
    return {rank: 0, value: Number(cell.dataset.value)};
  }
  return {rank: 1, value: cell.textContent.trim()};
}

function compare(a, b, direction) {
  if (a.rank === 2 || b.rank === 2) return a.rank - b.rank;
  if (a.rank !== b.rank) return direction * (a.rank - b.rank);
  if (a.rank === 1) return direction * texts.compare(a.value, b.value);
  // Two infinities have no difference.
  return direction * ((a.value > b.value) - (a.value < b.value));
}

function sort(table, header) {
  const ascending = header.getAttribute('aria-sort') !== 'ascending';
  const rows = [...table.tBodies[0].rows].map(
    (row) => ({row, key: key(row, header.cellIndex)})
  );
  rows.sort((a, b) => compare(a.key, b.key, ascending ? 1 : -1));
  table.tBodies[0].append(...rows.map(({row}) => row));
  for (const other of table.tHead.rows[0].cells) {
    other.removeAttribute('aria-sort');
  }
  header.setAttribute('aria-sort', ascending ? 'ascending' : 'descending');
}

// The headings are no buttons where there is no script.
for (const table of document.querySelectorAll('table')) {
  if (table.tBodies[0].rows.length < 2) continue;
  for (const header of table.tHead.rows[0].cells) {
    const button = document.createElement('button');
    button.type = 'button';
    button.title = 'Sort by this column';
    button.append(...header.childNodes);
    button.addEventListener('click', () => sort(table, header));
    header.append(button);
  }
}
