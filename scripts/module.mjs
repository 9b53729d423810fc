/** A module as tsc writes it, taken apart: what it imports, what it exports, and the rest. */
import { tokens } from './tokens.mjs';

const FORMS = [
  [/import \{([^}]*)\} from '([^']+)';/y, (m, [, names, from]) => m.imports.push({ from, names: pairs(names) })],
  [/import \* as (\w+) from '([^']+)';/y, (m, [, all, from]) => m.imports.push({ from, all, names: [] })],
  [/import '([^']+)';/y, (m, [, from]) => m.imports.push({ from, names: [] })],
  [/export \{([^}]*)\} from '([^']+)';/y, (m, [, names, from]) => {
    m.imports.push({ from, names: [] });
    m.exports.push(...pairs(names).map(([theirs, name]) => ({ name, from, theirs })));
  }],
  [/export \*(?: as (\w+))? from '([^']+)';/y, (m, [, name, from]) => {
    m.imports.push({ from, names: [] });
    m.exports.push({ name, from });
  }],
  [/export \{([^}]*)\};/y, (m, [, names]) => m.exports.push(...pairs(names).map(([own, name]) => ({ name, own })))],
  [/export (?=(?:const|class|function\*?|async function\*?) ([\w$]+))/y, (m, [, name]) => m.exports.push({ name, own: name })],
];

/** `a, b as c` as pairs. */
function pairs(names) {
  return names.split(',').map(name => name.trim()).filter(name => name !== '').map(name => name.split(/\s+as\s+/)).map(([a, b = a]) => [a, b]);
}

/**
 * Take a module apart.
 *
 * @param file - its name, for errors @param text - JavaScript
 * @returns `imports`: from where, with pairs of their names and the names here, or the name `all` of the namespace; `exports`: names with the
 *   name here (`own`), or from where and with what name there (`theirs`; without it the namespace; without `name` all that it exports);
 *   `later`: what it imports when it runs; `body`: the text without these words, every line where it was
 * @throws Error - an import or export of another form
 */
export function takeApart(file, text) {
  const module = { file, imports: [], exports: [], later: [...text.matchAll(/\bimport\('([^']+)'\)/g)].map(([, from]) => from), body: '' };
  const all = [...tokens(text)].filter(t => !t.space);
  let end = 0;
  all.forEach(({ token, at, inside }, k) => {
    if ((token !== 'import' && token !== 'export') || inside !== '' || '.(:'.includes(all[k + 1].token) || all[k - 1]?.token === '.') return;
    module.body += text.slice(end, at);
    for (const [form, note] of FORMS) {
      form.lastIndex = at;
      const match = form.exec(text);
      if (match === null) continue;
      note(module, match);
      end = at + match[0].length;
      module.body += '\n'.repeat(match[0].split('\n').length - 1);
      return;
    }
    throw new Error(`${file}: a form of ${token} that scripts/module.mjs does not know: ${text.slice(at, at + 60)}`);
  });
  module.body += text.slice(end);
  return module;
}
