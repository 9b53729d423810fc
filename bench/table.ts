/** Rows as text: words to the left, numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const width = head.map((name, k) => Math.max(name.length, ...rows.map(row => row[k]!.length)));
  const numeric = head.map((_, k) => rows.every(row => /^[-\d.,%]*$/.test(row[k]!)));
  const line = (cells: readonly string[]) => cells.map((cell, k) => (numeric[k] ? cell.padStart(width[k]!) : cell.padEnd(width[k]!))).join('  ').trimEnd();
  return [line(head), ...rows.map(line)].join('\n');
}
