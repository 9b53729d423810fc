import { describe, expect, it } from 'vitest';
import { PRESETS_HELP, presetsCommand } from '../../src/cli/presets.ts';
import { checkCpuModel } from '../../src/cost/preset-check.ts';
import { presets } from '../../src/cost/presets/all.ts';

/** @returns what was printed, also before an error */
function run(...argv: string[]): { printed: string[]; error?: Error } {
  const printed: string[] = [];
  try {
    expect(presetsCommand(argv, text => printed.push(text))).toBe(0);
  } catch (error) {
    return { printed, error: error as Error };
  }
  return { printed };
}

describe('pagewalk presets', () => {
  it('prints a line for each, with the entries that hold 4K pages of loads', () => {
    const [text] = run().printed;
    expect(text.trimEnd().split('\n')).toHaveLength(2 + Object.keys(presets).length);
    expect(text).toMatch(/^zen3 +AMD Zen 3 \(server, EPYC Milan\) +64 \/ 2048$/m);
  });

  it('prints every number of those that are named, with standing and source', () => {
    const { printed } = run('zen3', 'skylake');
    expect(printed).toHaveLength(2);
    expect(printed[0]).toMatch(/^clockGHz +3\.24 +measured +\S/m);
    expect(printed[1]).toMatch(/^switches\.exit +1529 +measured +\S/m);
  });

  it('prints one JSON value: a file for --cpu of one, a list of several and of all', () => {
    const json = (...names: string[]): unknown => JSON.parse(run('--json', ...names).printed.join('\n'));
    expect(checkCpuModel(json('zen3'))).toEqual(presets.zen3);
    expect(json('zen3', 'skylake')).toEqual([presets.zen3, presets.skylake]);
    expect(json()).toEqual(Object.values(presets));
    expect(PRESETS_HELP).toContain('of several, and without NAME of all, a list');
  });

  it('prints nothing where a name is wrong', () => {
    const { printed, error } = run('zen3', 'z80');
    expect(printed).toEqual([]);
    expect(error!.message).toMatch(/^cpu: expected one of .*zen4, got "z80"$/);
  });
});
