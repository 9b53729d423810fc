import { describe, expect, it } from 'vitest';
import { bytes, count, figureText, fixed, NONE, percent, printable, short } from '../../src/report/number-format.ts';

describe('number-format', () => {
  it.each([
    [count(0), '0'], [count(999), '999'], [count(1000), '1,000'], [count(1e10), '10,000,000,000'], [count(NaN), NONE],
    [percent(0, 10), '0'], [percent(1, 1e7), '<0.01'], [percent(9_999_999, 1e7), '>99.99'], [percent(5, 5), '100.00'],
    [percent(1, 3), '33.33'], [percent(0, 0), NONE], [percent(NaN, 5), NONE],
    [fixed(0), '0'], [fixed(0.0001), '<0.001'], [fixed(1234.5678), '1,234.568'], [fixed(2.5, 0), '3'],
    [fixed(NaN), NONE],
    [figureText(0.0341), '0.034'], [figureText(12.34), '12.3'], [figureText(1234.5), '1,235'], [figureText(999.7), '1,000'], [figureText(999.4), '999'],
    [figureText(1e-9), '<0.001'],
    [short(0), '0'], [short(0.05), '0.05'], [short(999), '999'], [short(1500), '1.5 k'], [short(1e10), '10 G'],
    [short(999_999), '1 M'], [bytes(4096), '4 KiB'], [bytes(1.5 * 2 ** 30), '1.5 GiB'],
    [bytes(127 * 2 ** 40), '127 TiB'],
  ])('%s reads %s', (got, wanted) => {
    expect(got).toBe(wanted);
  });

  it('lets no control or bidirectional character through', () => {
    expect(printable('a\u001b[31mb\nc\u202ed\ud800e')).toBe('a\ufffd[31mb\ufffdc\ufffdd\ufffde');
    expect(printable('größe 页 😀')).toBe('größe 页 😀');
  });
});
