/**
 * Just enough of an assembler to write a small wasm module by hand, as nested lists of bytes.
 *
 * Source: WebAssembly Core Specification, "Binary Format".
 */
export type Code = readonly (number | string | Code)[];

export const I32 = 0x7f, I64 = 0x7e;
const MAGIC = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const TYPE = 1, IMPORT = 2, FUNCTION = 3, EXPORT = 7, CODE = 10;

/** Unsigned LEB128. */
export function u(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...u(value >>> 7)];
}

/** Signed LEB128. */
export function i(value: number): number[] {
  const rest = value >> 6;
  return rest === 0 || rest === -1 ? [value & 127] : [(value & 127) | 128, ...i(value >> 7)];
}

const flat = (code: Code): number[] => code.flatMap(x => (typeof x === 'number' ? [x] : typeof x === 'string' ? named(x) : flat(x)));
const named = (name: string): number[] => [...u(name.length), ...Buffer.from(name)];
const vector = (items: readonly Code[]): Code => [u(items.length), ...items];
const sized = (code: Code): Code => { const bytes = flat(code); return [u(bytes.length), bytes]; };
const section = (id: number, items: readonly Code[]): Code => [id, sized(vector(items))];

export interface Signature {
  readonly params: readonly number[];
  readonly results: readonly number[];
}

/** A module with imported functions and memory, and one exported function with i32 locals. */
export interface Source {
  readonly memory: { readonly from: readonly [module: string, name: string]; readonly pages: number; readonly most: number };
  /** Numbered from 0 in this order, for `call`. */
  readonly imports: readonly { readonly from: readonly [module: string, name: string]; readonly signature: Signature }[];
  readonly name: string;
  readonly signature: Signature;
  /** Local variables after the parameters. */
  readonly locals: number;
  /** Instructions, without the last `end`. */
  readonly code: Code;
}

const type = ({ params, results }: Signature): Code => [0x60, vector(params.map(p => [p])), vector(results.map(r => [r]))];

export function assemble(source: Source): Uint8Array<ArrayBuffer> {
  const { imports, memory, name, signature, locals, code } = source;
  const signatures = [...imports.map(f => f.signature), signature];
  return Uint8Array.from(flat([
    MAGIC,
    section(TYPE, signatures.map(type)),
    section(IMPORT, [...imports.map((f, k): Code => [...f.from, 0, u(k)]), [...memory.from, 2, 3, u(memory.pages), u(memory.most)]]), // 3: shared, with a maximum
    section(FUNCTION, [[u(imports.length)]]),
    section(EXPORT, [[name, 0, u(imports.length)]]),
    section(CODE, [sized([vector([[u(locals), I32]]), code, op.end])]),
  ]));
}

/** Instructions, with their immediates. */
export const op = {
  block: [0x02, 0x40], loop: [0x03, 0x40], if: [0x04, 0x40], else: [0x05], end: [0x0b],
  br: (depth: number): Code => [0x0c, u(depth)],
  brIf: (depth: number): Code => [0x0d, u(depth)],
  call: (f: number): Code => [0x10, u(f)],
  get: (local: number): Code => [0x20, u(local)],
  set: (local: number): Code => [0x21, u(local)],
  tee: (local: number): Code => [0x22, u(local)],
  load32: (offset: number): Code => [0x28, u(2), u(offset)],
  store32: (offset: number): Code => [0x36, u(2), u(offset)],
  const: (value: number): Code => [0x41, i(value)],
  geU: [0x4f], eqz: [0x45], add: [0x6a], shl: [0x74],
} as const;
