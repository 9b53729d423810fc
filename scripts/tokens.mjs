/** JavaScript as tsc writes it, cut into words, strings, blanks and signs: what the steps of the build go by. */

const SPACE = /\s+|\/\*[^]*?\*\/|\/\/.*/y;
const WORD = /[\w$]+/y;
const STRING = /'(?:\\[^]|[^'\\\n])*'|"(?:\\[^]|[^"\\\n])*"/y;
const TEMPLATE_PART = /(?:\\[^]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/y;
const REGEXP = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/\w*/y;
/** A slash after one of these divides; after anything else it begins a regular expression. */
const OPERAND_END = /^(?!(?:return|typeof|case|in|of|do|else|void|delete|throw|new|yield|await)$)[\w$]+$|^[)\]}]$/;

/** Code as tokens. `at` is where it begins; `space` is a blank or a comment; `inside` is the bracket around a token: `{`, `(`, `[`, `${` or none. */
export function* tokens(text) {
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
    yield { token, at, space: space !== undefined, word: word !== undefined, inside };
    if (space === undefined) before = token;
    at += token.length;
  }
}
