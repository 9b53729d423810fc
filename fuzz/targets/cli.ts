/** Options of the `pagewalk` command: whatever they are, it does what it is told or says in a line what is wrong. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { chase } from '../../src/cli/chase.ts';
import { conformance } from '../../src/cli/conformance.ts';
import { convertCommand } from '../../src/cli/convert.ts';
import { mergeCommand } from '../../src/cli/merge.ts';
import { presetsCommand } from '../../src/cli/presets.ts';
import { replayCommand } from '../../src/cli/replay.ts';
import { sweepCommand } from '../../src/cli/sweep.ts';
import { ConfigError, InputError } from '../../src/errors.ts';
import { Finding, type Target } from '../target.ts';
import { Tape } from '../tape.ts';

const WORD = 8;
const LACKEY = Array.from({ length: 40 }, (_, k) => `${k % 3 ? ' L' : 'I '} ${(0x401000 + k * 520).toString(16)},${1 + (k % 8)}\n`).join('');
const PLAN = { traces: ['good.lackey'], cpus: ['skylake'], pages: ['4k', '2m'] };
/** Files that commands find, or are to write. */
const FILES: Readonly<Record<string, string>> = {
  'good.lackey': LACKEY, 'bad.lackey': `${LACKEY}what is this\n`, 'other.din': '0 1000\n1 2000\n2 3000\n', 'empty': '', 'plan.json': JSON.stringify(PLAN), 'more.json': JSON.stringify({ ...PLAN, data: [true, false], nodes: [2], limit: 7 }),
  'wrong.json': '{ "traces": 3 }', 'broken.json': '{', 'lines.jsonl': '{"a":1}\nnot json\n', 'rows.csv': 'page_size,pages,ns_median,ns_min,cycles_est\n4K,8,1,1,4\n4K,x,,,\n',
};
const NAMES = [...Object.keys(FILES), 'plan.jsonl', 'out.pwt', 'out.lackey.gz', 'out.din', 'report.html', 'missing', '-', '.', 'no/where.json', 'out.jsonl'];
const VALUES = [
  'skylake', 'zen3', 'skylake,zen3', 'zen9', '4k', '2m', '1g', 'thp', '4k,2m', '4k,', '', '1', '2', '0', '-1', '3', '1e3', '99999999999999999999', '8', '9', 'x', 'first-touch', 'interleave', 'lackey', 'din', 'pwt', 'champsim', 'memtrace',
  'auto', 'wasm', 'ts', '1/2', '2/2', '3/2', '0/0', '1/', '64B-dense', '4K', '2M', '8,9', '1048577', '16', 'true', '4K,2M', '../x', 'ü\n',
];
const OPTIONS = [
  '--cpu', '--pages', '--format', '--skip-bad', '--limit', '--data', '--nodes', '--numa', '--engine', '--jobs', '--json', '--csv', '--html', '--out', '--shard', '--list', '--table', '--from', '--to', '--kinds', '--bare', '--stop', '--audit',
  '--preempt', '--what', '-h', '--', '--cpu=zen3', '--limit=5', '--json=1', '--jobs=', '-x',
];
const COMMANDS = ['replay', 'convert', 'sweep', 'merge', 'presets', 'chase', 'conformance'] as const;
/** Threads that share the work are for other tests: here a command has one, or is refused. */
const THREADS = ['1', '0', '-1', 'x', '1.5', '513'];
const PAGES_OF_CHASE = ['8', '8,9', '16', '0', '1048577', 'x', ''];

const tape = new Tape();
let folder: string | undefined;

/** The files as they were, in a folder of this thread. */
function prepared(): string {
  folder ??= mkdtempSync(join(tmpdir(), 'pagewalk-fuzz-'));
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, name), text);
  return folder;
}

function wordOf(record: Uint8Array, at: string): string {
  tape.load(record);
  const kind = tape.below(8), name = NAMES[tape.below(NAMES.length)]!;
  if (kind < 3) return name === '-' ? name : join(at, name);
  return kind < 5 ? VALUES[tape.below(VALUES.length)]! : OPTIONS[tape.below(OPTIONS.length)]!;
}

/** The words of a command that would take long, or start threads, changed to those that would not. */
function tamed(command: string, words: readonly string[]): string[] {
  const out = words.map((word, k) => (words[k - 1] === '--jobs' ? THREADS[word.length % THREADS.length]! : command === 'chase' && words[k - 1] === '--pages' ? PAGES_OF_CHASE[word.length % PAGES_OF_CHASE.length]! : word)).filter(word => word !== '--jobs=');
  return command === 'chase' ? ['--pages', '8', '--kinds', '4K', ...out] : out;
}

async function run(command: (typeof COMMANDS)[number], argv: readonly string[], said: string[]): Promise<number> {
  const print = (text: string): void => void said.push(text), input = Readable.from([Buffer.from(LACKEY)]);
  switch (command) {
    case 'replay': return replayCommand(argv, input, print);
    case 'convert': return convertCommand(argv, input, print, print);
    case 'sweep': return sweepCommand(argv, print, print);
    case 'merge': return mergeCommand(argv, print, print);
    case 'presets': return presetsCommand(argv, print);
    case 'chase': return chase(argv, print);
    case 'conformance': return conformance(argv, print);
  }
}

export const cli: Target = {
  name: 'cli', about: 'options of the command: done, or refused in a line that names what is wrong; what was there stays whole', headBytes: 1, recordBytes: WORD, most: 10,
  end() {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    folder = undefined;
  },
  async run({ head, records }, notes) {
    const at = prepared(), command = COMMANDS[head[0]! % COMMANDS.length]!, argv = tamed(command, records.map(record => wordOf(record, at))), said: string[] = [];
    if (argv.includes('-') && (command === 'convert' || command === 'merge')) return 0; // standard output is the driver's
    let ending: string;
    try {
      const status = await run(command, argv, said);
      if (!Number.isInteger(status) || status < 0 || status > 2) throw new Finding(`status ${status}`);
      ending = `status ${status}`;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const told = error instanceof ConfigError || error instanceof InputError || (typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS'));
      if (!told) throw error;
      if (message.trim() === '') throw new Finding('an error that says nothing');
      ending = message.replaceAll(at, '').replace(/[^a-zA-Z]+/g, '').slice(0, 60);
    }
    for (const name of ['good.lackey', 'other.din', 'plan.json']) {
      const written = argv.some((word, k) => word === join(at, name) && (['--out', '--html'].includes(argv[k - 1] ?? '') || (command === 'convert' && k > 0)));
      if (!written && readFileSync(join(at, name), 'utf8') !== FILES[name]) throw new Finding(`${command} ${argv.join(' ')} changes ${name}`);
    }
    notes.note(COMMANDS.indexOf(command), [...ending].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), 0));
    return 1;
  },
};
