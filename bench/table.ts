/** Rows as a Markdown table that reads well as text, too: words to the left, numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const width = head.map((name, k) => Math.max(3, name.length, ...rows.map(row => row[k]!.length)));
  const numeric = head.map((_, k) => rows.every(row => /^[-\d.,]*( %)?$/.test(row[k]!)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, k) => (numeric[k] ? cell.padStart(width[k]!) : cell.padEnd(width[k]!))).join(' | ')} |`;
  const rule = width.map((n, k) => (numeric[k] ? `${'-'.repeat(n - 1)}:` : '-'.repeat(n)));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}
