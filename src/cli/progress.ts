/** A progress bar on standard error: only on a terminal, a few times a second, and gone when done. */
const WIDTH = 30;
const EVERY_MS = 100;

export class Progress {
  private readonly out: NodeJS.WriteStream;
  private readonly on: boolean;
  private readonly started = performance.now();
  private last = -Infinity;

  constructor(out: NodeJS.WriteStream) {
    this.out = out;
    this.on = out.isTTY === true;
  }

  /** @param done, total - in any unit; `total` undefined if unknown @param text - shown behind the bar */
  update(done: number, total: number | undefined, text: string): void {
    const now = performance.now();
    if (!this.on || now - this.last < EVERY_MS) return;
    this.last = now;
    const share = total ? Math.min(1, done / total) : undefined;
    const bar = share === undefined ? '' : `[${'#'.repeat(Math.round(share * WIDTH)).padEnd(WIDTH, '.')}] ${String(Math.floor(share * 100)).padStart(3)}% `;
    this.out.write(`\r\x1b[K${bar}${text} ${((now - this.started) / 1000).toFixed(1)} s`);
  }

  /** Remove the bar. */
  clear(): void {
    if (this.on && this.last > 0) this.out.write('\r\x1b[K');
  }
}
