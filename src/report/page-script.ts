/**
 * The script of the HTML report. The page is complete without it: it adds moving through the numbers of a chart with
 * the keyboard or a pointer, read out in a live region.
 *
 * Up and down choose the row (a run, a region), left and right the point in it; Home and End go to the first and last.
 */
export const PAGE_SCRIPT = `
'use strict';
for (const stage of document.querySelectorAll('.stage')) {
  const data = JSON.parse(stage.querySelector('script').textContent);
  const readout = stage.parentElement.querySelector('.readout');
  const hint = 'Select the chart, then use the arrow keys, or point at it, to read its numbers.';
  const drawn = () => [...stage.querySelectorAll('svg')].find((svg) => svg.getClientRects().length > 0);
  let row = 0;
  let col = 0;
  readout.hidden = false;
  readout.textContent = hint;
  stage.tabIndex = 0;
  stage.setAttribute('role', 'application');
  stage.setAttribute('aria-roledescription', 'interactive chart');
  stage.setAttribute('aria-label', stage.dataset.title + '. Arrow keys read its numbers.');

  const clear = () => {
    readout.classList.remove('live');
    stage.classList.remove('picked');
    for (const old of stage.querySelectorAll('.cursor,.halo')) old.remove();
    for (const old of stage.querySelectorAll('.on')) old.classList.remove('on');
  };

  const ring = (svg, name, attributes) => {
    for (const kind of ['halo', 'cursor']) {
      const mark = document.createElementNS(svg.namespaceURI, name);
      mark.setAttribute('class', kind);
      for (const [key, value] of Object.entries(attributes)) mark.setAttribute(key, value);
      svg.append(mark);
    }
  };

  const show = () => {
    clear();
    const svg = drawn();
    const line = svg && svg.querySelector('polyline[data-row="' + row + '"]');
    const mark = svg && svg.querySelector('[data-row="' + row + '"][data-col="' + col + '"]');
    if (line && line.points.numberOfItems > col) {
      stage.classList.add('picked');
      for (const series of svg.querySelectorAll('.series[data-row="' + row + '"]')) series.classList.add('on');
      const point = line.points.getItem(col);
      ring(svg, 'circle', { cx: point.x, cy: point.y, r: 7 });
    } else if (mark) {
      const box = mark.getBBox();
      ring(svg, 'rect', { x: box.x - 1, y: box.y - 1, width: box.width + 2, height: box.height + 2 });
    }
    const along = data.tall ? data.corner.toLowerCase() + ' ' : '';
    readout.classList.add('live');
    readout.textContent = data.rows[row].name + ', ' + along + data.xs[col] + ': ' + data.rows[row].say[col];
  };

  const pick = (toRow, toCol) => {
    row = Math.min(data.rows.length - 1, Math.max(0, toRow));
    col = Math.min(data.rows[row].say.length - 1, Math.max(0, toCol));
    if (col >= 0) show();
  };

  stage.addEventListener('keydown', (event) => {
    const last = data.rows[row].say.length - 1;
    const to = { ArrowLeft: [row, col - 1], ArrowRight: [row, col + 1], ArrowUp: [row - 1, col],
      ArrowDown: [row + 1, col], Home: [row, 0], End: [row, last] }[event.key];
    if (event.key === 'Escape') { clear(); readout.textContent = hint; }
    if (!to || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    pick(to[0], to[1]);
  });
  stage.addEventListener('focus', () => { if (stage.matches(':focus-visible')) pick(row, col); });
  stage.addEventListener('blur', clear);
  stage.addEventListener('pointerleave', () => { if (document.activeElement !== stage) clear(); });

  const nearest = (svg, event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let best = null;
    for (const line of svg.querySelectorAll('polyline[data-row]')) {
      for (let i = 0; i < line.points.numberOfItems; i++) {
        const point = line.points.getItem(i);
        const far = 4 * Math.abs(point.x - at.x) + Math.abs(point.y - at.y);
        if (!best || far < best.far) best = { far, row: Number(line.dataset.row), col: i };
      }
    }
    return best;
  };

  const point = (event) => {
    const svg = drawn();
    const mark = event.target.closest('[data-col]');
    if (mark) pick(Number(mark.dataset.row), Number(mark.dataset.col));
    else {
      const best = svg && nearest(svg, event);
      if (best) pick(best.row, best.col);
    }
  };
  stage.addEventListener('pointermove', point);
  stage.addEventListener('pointerdown', point);
}
`;

/** SHA-256 of the script in base64: the page's content policy lets this script run, and no other. */
export const PAGE_SCRIPT_SHA256 = 'B9upTasivVXDtV1UN1kKiV2jUsQ9rRk9cHNogKKMX+Y=';
