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
  // The largest number first, as most figures are better the larger they are.
  const first = header.classList.contains('number') ? 'descending' : 'ascending';
  const second = first === 'ascending' ? 'descending' : 'ascending';
  const ascending =
    (header.getAttribute('aria-sort') === first ? second : first) ===
    'ascending';
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
for (const table of document.querySelectorAll('.scroll table')) {
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

// Long tables are folded on the screen; the style shows all rows in print.
for (const table of document.querySelectorAll('table[data-shown]')) {
  const total = table.tBodies[0].rows.length;
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'fold';
  const fold = (folded) => {
    table.classList.toggle('folded', folded);
    button.textContent = folded
      ? `Show all ${total} rows`
      : `Show ${table.dataset.shown} rows`;
    button.setAttribute('aria-expanded', String(!folded));
  };
  button.addEventListener('click', () =>
    fold(!table.classList.contains('folded'))
  );
  fold(true);
  table.closest('.scroll').after(button);
}

// The values of curves, at the pointer or by the arrow keys.
const narrow = matchMedia('screen and (max-width: 40rem)');

function percent(share) {
  return `${100 * share}%`;
}

function attachValues(host, panelsNow, label) {
  const box = document.createElement('div');
  const line = document.createElement('div');
  box.className = 'box';
  line.className = 'line';
  for (const part of [box, line]) part.hidden = true;
  host.append(line, box);
  host.tabIndex = 0;
  host.setAttribute('role', 'group');
  host.setAttribute('aria-label', `${label}: arrow keys show values`);
  box.setAttribute('role', 'status');
  let panel = 0;
  let place = -1;

  function hide() {
    box.hidden = line.hidden = true;
  }

  function show() {
    const now = panelsNow()[panel];
    const [left, top, right, bottom] = now.box;
    const rows = now.lines
      .map(({label, y}) => ({label, y: y[place]}))
      .filter(({y}) => y !== null && y !== undefined)
      .sort((a, b) => b.y - a.y);
    box.replaceChildren();
    const title = document.createElement('strong');
    title.textContent = `${now.title} ${now.title ? 'at' : ''} ${now.x[place]}`;
    box.append(title);
    for (const {label, y} of rows) {
      const row = document.createElement('div');
      row.textContent = `${label}: ${y}`;
      box.append(row);
    }
    const at = now.at[place];
    line.style.left = percent(at);
    line.style.top = percent(top);
    line.style.height = percent(bottom - top);
    box.style.top = percent(top);
    // On the side that has room.
    const before = at > (left + right) / 2 || at > 0.6;
    box.style.left = before ? 'auto' : percent(at + 0.01);
    box.style.right = before ? percent(1 - at + 0.01) : 'auto';
    box.hidden = line.hidden = false;
  }

  host.addEventListener('pointermove', (event) => {
    const area = host.getBoundingClientRect();
    const x = (event.clientX - area.left) / area.width;
    const y = (event.clientY - area.top) / area.height;
    panel = panelsNow().findIndex(
      ({box: [left, top, right, bottom]}) =>
        x >= left && x <= right && y >= top && y <= bottom
    );
    if (panel < 0) return hide();
    const {at} = panelsNow()[panel];
    place = 0;
    at.forEach((value, number) => {
      if (Math.abs(value - x) < Math.abs(at[place] - x)) place = number;
    });
    show();
  });
  host.addEventListener('pointerleave', hide);
  host.addEventListener('blur', hide);
  host.addEventListener('keydown', (event) => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    const other = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (event.key === 'Escape') return hide();
    if (!step && !other) return;
    event.preventDefault();
    const panels = panelsNow();
    const hidden = box.hidden;
    panel = Math.min(Math.max(panel, 0), panels.length - 1);
    if (other) panel = (panel + other + panels.length) % panels.length;
    const count = panels[panel].x.length;
    place = hidden && step > 0 ? 0 : place + (step || 0);
    place = Math.min(Math.max(place, 0), count - 1);
    show();
  });
}

for (const host of document.querySelectorAll('.values')) {
  const data = host.querySelector('script');
  if (!data) continue;
  const values = JSON.parse(data.textContent);
  const caption = host.querySelector('img').alt.split(/[.;:]/)[0];
  attachValues(host, () => (narrow.matches ? values.phone : values.wide), caption);
}

// Two runs, side by side.
const SVG = 'http://www.w3.org/2000/svg';
const DASHES = ['none', '8 4'];
const SIZE = {width: 460, height: 280, left: 48, right: 12, top: 28, bottom: 40};

function drawn(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, value);
  }
  if (text !== undefined) element.textContent = text;
  return element;
}

function chart(title, runs) {
  const host = document.createElement('div');
  host.className = 'chart';
  const {width, height, left, right, top, bottom} = SIZE;
  const points = runs.map((run) => run.curves[title] || []);
  const epochs = [...new Set(points.flat().map(([x]) => x))].sort(
    (a, b) => a - b
  );
  if (!epochs.length) return null;
  const all = points.flat().map(([, y]) => y);
  const low = Math.max(0, Math.floor((Math.min(...all) - 2) / 10) * 10);
  const high = Math.min(100, Math.ceil((Math.max(...all) + 2) / 10) * 10);
  const span = epochs.at(-1) - epochs[0] || 1;
  const x = (epoch) =>
    left + ((width - left - right) * (epoch - epochs[0])) / span;
  const y = (value) =>
    height - bottom - ((height - top - bottom) * (value - low)) / (high - low || 1);
  const svg = drawn('svg', {
    viewBox: `0 0 ${width} ${height}`,
    role: 'img',
    'aria-label': `${title} (%) of ${runs.map(({name}) => name).join(' and ')}`,
  });
  svg.append(
    drawn('text', {x: left, y: 16, class: 'title'}, `${title} (%)`),
    drawn('text', {x: width - right, y: height - 6, 'text-anchor': 'end'}, 'epoch')
  );
  for (let i = 0; i <= 4; i++) {
    const value = low + ((high - low) * i) / 4;
    svg.append(
      drawn('line', {x1: left, x2: width - right, y1: y(value), y2: y(value)}),
      drawn('text', {x: left - 6, y: y(value) + 4, 'text-anchor': 'end'}, value)
    );
  }
  for (const epoch of new Set([epochs[0], epochs.at(-1)])) {
    svg.append(
      drawn('text', {x: x(epoch), y: height - bottom + 18, 'text-anchor': 'middle'}, epoch)
    );
  }
  points.forEach((curve, number) => {
    svg.append(
      drawn('polyline', {
        points: curve.map(([a, b]) => `${x(a)},${y(b)}`).join(' '),
        stroke: runs[number].colour,
        'stroke-dasharray': DASHES[number],
      })
    );
    if (curve.length === 1) {
      svg.append(
        drawn('circle', {cx: x(curve[0][0]), cy: y(curve[0][1]), r: 4, fill: runs[number].colour})
      );
    }
  });
  host.append(svg);
  const panel = {
    box: [
      left / width, top / height, 1 - right / width, 1 - bottom / height,
    ],
    title,
    x: epochs,
    at: epochs.map((epoch) => x(epoch) / width),
    lines: runs.map(({name}, number) => {
      const known = new Map(points[number]);
      return {
        label: `${['first', 'second'][number]}, ${name}`,
        y: epochs.map((epoch) => known.get(epoch) ?? null),
      };
    }),
  };
  attachValues(host, () => [panel], title);
  return host;
}

for (const section of document.querySelectorAll('.compare')) {
  const runs = JSON.parse(section.querySelector('script').textContent);
  const selects = [...section.querySelectorAll('select')];
  const charts = section.querySelector('.charts');
  const [body] = section.querySelector('table').tBodies;

  function show() {
    const chosen = selects.map((select) => runs[select.value]);
    const curves = new Set(chosen.flatMap((run) => Object.keys(run.curves)));
    charts.replaceChildren(
      ...[...curves].map((title) => chart(title, chosen)).filter(Boolean)
    );
    const names = new Set(chosen.flatMap((run) => Object.keys(run.facts)));
    body.replaceChildren(
      ...[...names].map((name) => {
        const row = document.createElement('tr');
        const values = chosen.map((run) => run.facts[name] ?? '-');
        row.classList.toggle('differs', values[0] !== values[1]);
        const head = document.createElement('th');
        head.scope = 'row';
        head.textContent = name;
        row.append(
          head,
          ...values.map((value) => {
            const cell = document.createElement('td');
            cell.textContent = value;
            return cell;
          })
        );
        return row;
      })
    );
  }

  // Another method's first run, which has the same seed; else the last one.
  const other = runs.findIndex(({colour}) => colour !== runs[0].colour);
  selects.forEach((select, number) => {
    runs.forEach(({name}, index) => select.add(new Option(name, index)));
    select.value = number ? (other < 0 ? runs.length - 1 : other) : 0;
    select.addEventListener('change', show);
  });
  section.hidden = false;
  show();
}
