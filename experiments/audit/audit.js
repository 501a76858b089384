'use strict';
// Only a page of the issues is in the document at a time, however many there
// are. A choice is 'keep', 'relabel' (as suggested) or 'drop', by example id.
const PAGE = 60;
const data = JSON.parse(document.getElementById('data').textContent);
const at = (id) => document.getElementById(id);
const choices = new Map(load());
let shown = [];
let page = 0;

// A browser may forbid storage; the page then forgets when it is closed.
function load() {
  try {
    return JSON.parse(localStorage.getItem(data.key)) || [];
  } catch {
    return [];
  }
}

function store() {
  try {
    localStorage.setItem(data.key, JSON.stringify([...choices]));
  } catch {
    // See above.
  }
}

function filtered() {
  const [given, suggested, decided] = ['given', 'suggested', 'decided'].map(
    (id) => at(id).value
  );
  const rows = data.id.map((_, row) => row).filter((row) => {
    if (given !== '' && data.given[row] !== Number(given)) return false;
    if (suggested !== '' && data.suggested[row] !== Number(suggested)) {
      return false;
    }
    const choice = choices.get(data.id[row]);
    return decided === 'all' || (choice ?? 'no') === decided;
  });
  const key = at('sort').value;
  if (key === 'suggested_probability') {
    rows.sort((a, b) => data[key][b] - data[key][a]);
  } else if (key !== 'rank') {
    rows.sort((a, b) => data[key][a] - data[key][b]);
  }
  return rows;
}

function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function line(what, label, probability) {
  const made = element('p', what);
  made.append(
    element('span', 'share', `${(100 * probability).toFixed(1)} %`),
    `${what}: ${data.classes[label]}`
  );
  return made;
}

function card(row) {
  const made = element('div', 'card');
  made.tabIndex = 0;
  made.dataset.row = row;
  if (data.image) {
    const image = element('img');
    image.alt = '';
    image.addEventListener('load', () => {
      image.classList.toggle('small', image.naturalWidth <= 32);
    });
    image.src = data.image[row];
    made.append(image);
  }
  const buttons = element('div', 'buttons');
  for (const choice of ['keep', 'relabel', 'drop']) {
    const button = element('button', choice, choice);
    button.type = 'button';
    button.tabIndex = -1;
    button.addEventListener('click', () => choose(made, choice));
    buttons.append(button);
  }
  made.append(
    element('p', 'id', `${row + 1}. example ${data.id[row]}`),
    line('given', data.given[row], data.given_probability[row]),
    line('suggested', data.suggested[row], data.suggested_probability[row]),
    buttons
  );
  mark(made);
  return made;
}

function mark(made) {
  made.dataset.choice = choices.get(data.id[made.dataset.row]) ?? '';
}

function count() {
  at('count').textContent =
    `${shown.length} shown, ${choices.size} of ${data.id.length} decided`;
  at('save').disabled = choices.size === 0;
}

// What has been decided stays in view until the filters change.
function choose(made, choice) {
  const id = data.id[made.dataset.row];
  if (choice === null || choices.get(id) === choice) choices.delete(id);
  else choices.set(id, choice);
  store();
  mark(made);
  count();
}

function draw() {
  const pages = Math.max(1, Math.ceil(shown.length / PAGE));
  const rows = shown.slice(page * PAGE, (page + 1) * PAGE);
  at('cards').replaceChildren(...rows.map(card));
  at('page').textContent = `Page ${page + 1} of ${pages}`;
  at('previous').disabled = page === 0;
  at('next').disabled = page === pages - 1;
  count();
}

function filter() {
  shown = filtered();
  page = 0;
  draw();
}

// Moves to another page; the focus goes to its first or last card.
function turn(step) {
  if (page + step < 0 || (page + step) * PAGE >= shown.length) return;
  page += step;
  draw();
  const cards = at('cards').children;
  cards[step > 0 ? 0 : cards.length - 1].focus();
}

function columns() {
  const cards = [...at('cards').children];
  const below = cards.findIndex((c) => c.offsetTop > cards[0].offsetTop);
  return below < 0 ? cards.length : below;
}

function move(made, step) {
  const cards = [...at('cards').children];
  const to = cards.indexOf(made) + step;
  if (to < 0) turn(-1);
  else if (to >= cards.length) turn(1);
  else cards[to].focus();
}

const CHOICES = {k: 'keep', r: 'relabel', d: 'drop', u: null};
const STEPS = {
  ArrowLeft: () => -1,
  ArrowRight: () => 1,
  ArrowUp: () => -columns(),
  ArrowDown: () => columns(),
};

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.tagName === 'SELECT') return;
  const [first] = at('cards').children;
  const made = document.activeElement.closest('.card') ?? null;
  if (!first || (!(event.key in CHOICES) && !(event.key in STEPS))) return;
  event.preventDefault();
  if (made === null) {
    first.focus();
  } else if (event.key in CHOICES) {
    // A key decides, also what has been decided so before.
    const id = data.id[made.dataset.row];
    if (choices.get(id) !== CHOICES[event.key]) {
      choose(made, CHOICES[event.key]);
    }
    if (event.key !== 'u') move(made, 1);
  } else {
    move(made, STEPS[event.key]());
  }
});

function csv() {
  const lines = ['example_id,label'];
  const cell = (text) =>
    /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const add = (id, label) => lines.push(`${cell(id)},${cell(label)}`);
  data.id.forEach((id, row) => {
    const choice = choices.get(id);
    if (choice === 'keep') add(id, data.written[data.given[row]]);
    if (choice === 'relabel') add(id, data.written[data.suggested[row]]);
    if (choice === 'drop') add(id, 'drop');
  });
  return `${lines.join('\n')}\n`;
}

at('save').addEventListener('click', () => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([csv()], {type: 'text/csv'}));
  link.download = 'choices.csv';
  link.click();
});

function fill(select, values, title) {
  select.append(new Option('all', ''));
  for (const [value, number] of values) {
    select.append(new Option(`${title(value)} (${number})`, value));
  }
}

function numbers(values) {
  const found = new Map();
  for (const value of values) found.set(value, (found.get(value) ?? 0) + 1);
  return [...found];
}

for (const id of ['given', 'suggested']) {
  const found = numbers(data[id]).sort((a, b) => a[0] - b[0]);
  fill(at(id), found, (label) => data.classes[label]);
}
fill(
  at('pair'),
  numbers(data.id.map((_, row) => `${data.given[row]},${data.suggested[row]}`))
    .sort((a, b) => b[1] - a[1]),
  (pair) => pair.split(',').map((label) => data.classes[label]).join(' → ')
);
at('pair').addEventListener('change', () => {
  [at('given').value, at('suggested').value] =
    at('pair').value === '' ? ['', ''] : at('pair').value.split(',');
  filter();
});
for (const id of ['given', 'suggested']) {
  at(id).addEventListener('change', () => {
    at('pair').value = '';
    filter();
  });
}
for (const id of ['decided', 'sort']) at(id).addEventListener('change', filter);
at('previous').addEventListener('click', () => turn(-1));
at('next').addEventListener('click', () => turn(1));
filter();
