/**
 * The last step of the build: dist/ from the modules that tsc leaves in build/esm.
 *
 * Loading a module takes a third of a millisecond, whatever it does, so those that are loaded together are put into one file of dist/chunk.
 * There each is a function, called once, that returns its exports: names stay apart, and are constants to V8. At its own place a module leaves
 * a file with its exports, so that paths stay as they are and nothing exists twice. What exports nothing is a program, and stays whole.
 */
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { fold } from './fold-constants.mjs';
import { takeApart } from './module.mjs';

/** A chunk has what these reach and no chunk before it has. What a program imports when it runs has to be named, too. */
const CHUNKS = {
  engine: ['index.js'],
  trace: ['trace/index.js', 'trace/replay-worker.js'],
  command: ['cli/main.js', ...['replay', 'sweep', 'merge', 'convert', 'chase', 'presets'].map(name => `cli/${name}.js`)],
  xen: ['xen/index.js'],
  models: ['models/index.js'],
  guest: ['guest/index.js'],
  smp: ['smp/index.js', 'smp/vcpu-worker.js'],
  compare: ['cli/compare.js', 'cli/crossover.js', 'compare/compare-worker.js'],
  conformance: ['cli/conformance.js'],
};

const root = fileURLToPath(new URL('..', import.meta.url)), esm = join(root, 'build/esm'), dist = join(root, 'dist');
const isOwn = from => from.startsWith('.');
const at = (file, from) => (isOwn(from) ? join(dirname(file), from) : from);
const nameOf = file => `$${file.replace(/\.js$/, '').replace(/\W/g, '_')}`;
const linkTo = (to, file) => `${'../'.repeat(file.split('/').length - 1) || './'}${to}`;

/** Modules by file, in the order in which the language evaluates them, with their chunks. */
async function readModules() {
  const modules = new Map(), begun = new Set(), constants = new Map();
  for (const folder of ['layout', 'arch']) {
    for (const name of readdirSync(join(esm, folder)).filter(name => name.endsWith('.js'))) {
      const file = `${folder}/${name}`;
      constants.set(file, await import(pathToFileURL(join(esm, file)).href));
    }
  }
  const visit = (file, chunk) => {
    if (begun.has(file)) return;
    begun.add(file);
    const written = readFileSync(join(esm, file), 'utf8'), text = fold(written, from => constants.get(at(file, from)));
    const apart = code => takeApart(file, code.replace(/^#!.*/, ''));
    for (const { from } of apart(written).imports) if (isOwn(from)) visit(at(file, from), chunk);
    modules.set(file, { ...apart(text), chunk, text });
  };
  for (const [chunk, roots] of Object.entries(CHUNKS)) for (const file of roots) visit(file, chunk);
  return modules;
}

/** The names that a module exports. */
function exported(modules, file) {
  return modules.get(file).exports.flatMap(({ name, from }) => name ?? exported(modules, at(file, from)));
}

/**
 * The function that a module becomes.
 *
 * @param ready - modules evaluated before @param late - is added the setters of names that come from others, in a circle of imports
 * @throws Error - a name that is not exported, or an export of what comes later
 */
function wrapped(modules, { file, imports, exports, body }, ready, late) {
  const head = imports.flatMap(({ from, names, all }) => {
    const target = at(file, from), known = isOwn(from) ? exported(modules, target) : undefined;
    for (const [theirs] of names) if (known && !known.includes(theirs)) throw new Error(`${file}: ${from} has no ${theirs}`);
    if (all === undefined && names.length === 0) return [];
    const pattern = all ?? `{ ${names.map(([theirs, own]) => `${theirs}: ${own}`).join(', ')} }`;
    if (!known || ready.has(target)) return [`const ${pattern} = ${nameOf(target)};`];
    const setter = `$late_${late.length}`;
    late.push({ setter, target });
    return [`let ${all ?? names.map(([, own]) => own).join(', ')}; ${setter} = () => { (${pattern} = ${nameOf(target)}); };`];
  });
  const results = exports.map(({ name, from, own, theirs }) => {
    if (from === undefined) return `${name}: ${own}`;
    const source = nameOf(at(file, from));
    if (!ready.has(at(file, from))) throw new Error(`${file}: exports names of ${from}, which imports it`);
    return name === undefined ? `...${source}` : `${name}: ${theirs === undefined ? source : `${source}.${theirs}`}`;
  });
  const url = `new URL('../${file}', import.meta.url).href`;
  return `const ${nameOf(file)} = (() => { /* ${file} */ ${head.join(' ')}\n${body.replaceAll('import.meta.url', url)}\nreturn { ${results.join(', ')} };\n})();\n`;
}

/** One file with all modules of a chunk. */
function chunkText(modules, chunk, ready) {
  const late = [], outside = new Set(), parts = [], own = [...modules.values()].filter(m => m.chunk === chunk && m.exports.length > 0);
  for (const module of own) {
    for (const target of module.imports.map(({ from }) => at(module.file, from))) {
      const other = modules.get(target)?.chunk;
      if (other === undefined) outside.add(`import * as ${nameOf(target)} from '${target}';\n`);
      else if (other !== chunk) outside.add(`import { ${nameOf(target)} } from './${other}.js';\n`);
    }
    parts.push(wrapped(modules, module, ready, late));
    ready.add(module.file);
    for (const { setter, target } of late) if (target === module.file) parts.push(`${setter}();\n`);
  }
  const setters = late.length > 0 ? `let ${late.map(l => l.setter).join(', ')};\n` : '';
  return `${[...outside].join('')}${setters}${parts.join('')}export { ${own.map(m => nameOf(m.file)).join(', ')} };\n`;
}

/** What a module leaves at its own place. */
function placeText(modules, { file, chunk, exports, text }) {
  if (exports.length === 0) return text;
  return `import { ${nameOf(file)} } from '${linkTo(`chunk/${chunk}.js`, file)}';\nexport const { ${exported(modules, file).join(', ')} } = ${nameOf(file)};\n`;
}

const modules = await readModules(), ready = new Set();
for (const { file, exports, later } of modules.values()) {
  for (const from of later) {
    if (exports.length > 0 || (isOwn(from) && !modules.has(at(file, from)))) throw new Error(`${file}: import('${from}') is for programs, of modules that scripts/dist.mjs knows`);
  }
}
rmSync(dist, { recursive: true, force: true });
cpSync(esm, dist, { recursive: true, filter: path => !/\.js$|buildinfo$/.test(path) });
mkdirSync(join(dist, 'chunk'));
for (const chunk of Object.keys(CHUNKS)) writeFileSync(join(dist, `chunk/${chunk}.js`), chunkText(modules, chunk, ready));
for (const [file, module] of modules) writeFileSync(join(dist, file), placeText(modules, module));
