/**
 * The last step of the build: writes the integer constants of src/layout and src/arch into the code that imports them.
 *
 * V8 loads an imported binding from a cell at every use, so that `w[v + (VCPU_MODE >>> 2)]` costs two loads and a shift where `w[v + (76 >>> 2)]`
 * costs one load: the engine is two to three times as fast with the numbers in place. An import of which every name is replaced goes; lines
 * keep their numbers. What the reader below does not understand keeps its import, which is slower and still right.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const IMPORT = /^import \{([^}]*)\} from '([^']+)';$/gm;
const SPACE = /\s+|\/\*[^]*?\*\/|\/\/.*/y;
const WORD = /[\w$]+/y;
const STRING = /'(?:\\[^]|[^'\\\n])*'|"(?:\\[^]|[^"\\\n])*"/y;
const TEMPLATE_PART = /(?:\\[^]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/y;
const REGEXP = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/\w*/y;
/** A slash after one of these divides; after anything else it begins a regular expression. */
const OPERAND_END = /^(?!(?:return|typeof|case|in|of|do|else|void|delete|throw|new|yield|await)$)[\w$]+$|^[)\]}]$/;

/** Code as tokens. `space` is a blank or a comment; `inside` is the bracket around a token: `{`, `(`, `[`, `${` or none. */
function* tokens(text) {
  const open = [];
  let before = '', at = 0;
  const match = pattern => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  while (at < text.length) {
    const inside = open.at(-1) ?? '';
    const space = match(SPACE), word = match(WORD);
    let token = space ?? word ?? match(STRING);
    if (token === undefined && text[at] === '/' && !OPERAND_END.test(before)) token = match(REGEXP);
    token ??= text[at];
    if (token === '`' || (token === '}' && inside === '${')) {
      if (token === '}') open.pop();
      at++;
      token += match(TEMPLATE_PART) ?? '';
      at--;
      if (token.endsWith('${')) open.push('${');
    } else if ('([{'.includes(token)) open.push(token);
    else if (')]}'.includes(token)) open.pop();
    yield { token, space: space !== undefined, word: word !== undefined, inside };
    if (space === undefined) before = token;
    at += token.length;
  }
}

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

async function foldFolder(dist) {
  const constants = new Map();
  for (const folder of ['layout', 'arch']) {
    for (const file of readdirSync(join(dist, folder)).filter(f => f.endsWith('.js'))) {
      const path = join(dist, folder, file);
      constants.set(path, await import(pathToFileURL(path).href));
    }
  }
  for (const file of readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter(f => f.endsWith('.js'))) {
    const path = join(dist, file), text = readFileSync(path, 'utf8');
    const folded = fold(text, from => constants.get(join(dirname(path), from)));
    if (folded !== text) writeFileSync(path, folded);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await foldFolder(resolve(process.argv[2] ?? 'dist'));
