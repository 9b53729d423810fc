/**
 * A step of the build: writes the integer constants of src/layout and src/arch into the code that imports them.
 *
 * V8 puts a constant of a module in place only in code that it compiles for one place, not in what it enters in the middle of a loop or has only
 * interpreted: with the numbers in place from the beginning hypercalls are up to twice as fast. An import of which every name is replaced goes; lines
 * keep their numbers. What the reader below does not understand keeps its import, which is slower and still right.
 */
import { tokens } from './tokens.mjs';

const IMPORT = /^import \{([^}]*)\} from '([^']+)';$/gm;

/** Is this word a use of a value: not a property, a key or a shorthand? */
function isUse(before, { inside }, after) {
  if (before === '.') return false;
  if (inside !== '{' || (before !== '{' && before !== ',')) return true;
  return after !== ':' && after !== ',' && after !== '}';
}

/**
 * Replace imported integers in the text of a module.
 *
 * @param text - JavaScript as tsc writes it @param valuesOf - exports of the module with a given specifier, undefined to leave it alone
 * @returns the new text
 */
export function fold(text, valuesOf) {
  const values = new Map();
  for (const [, names, from] of text.matchAll(IMPORT)) {
    const exports = valuesOf(from);
    if (exports === undefined) continue;
    for (const name of names.split(',').map(n => n.trim())) if (Number.isInteger(exports[name])) values.set(name, exports[name]);
  }
  for (const name of values.keys()) if (new RegExp(`\\b(?:const|let|var|function|class) ${name}\\b`).test(text)) values.delete(name);
  const kept = new Set();
  const bodyAt = [...text.matchAll(IMPORT)].reduce((end, m) => Math.max(end, m.index + m[0].length), 0);
  const all = [...tokens(text.slice(bodyAt))], solid = all.filter(t => !t.space);
  solid.forEach((t, k) => {
    if (!t.word || !values.has(t.token)) return;
    if (!isUse(solid[k - 1]?.token, t, solid[k + 1]?.token)) kept.add(t.token);
    else t.number = values.get(t.token);
  });
  const body = all.map(t => (t.number === undefined ? t.token : t.number < 0 ? `(${t.number})` : `${t.number}`)).join('');
  return text.slice(0, bodyAt).replace(IMPORT, (whole, names, from) => {
    if (valuesOf(from) === undefined) return whole;
    const left = names.split(',').map(n => n.trim()).filter(n => n !== '' && (kept.has(n) || !values.has(n)));
    const lines = whole.split('\n').length - 1;
    return (left.length === 0 ? '' : `import { ${left.join(', ')} } from '${from}';`) + '\n'.repeat(lines);
  }) + body;
}
