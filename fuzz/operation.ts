/** Operations with named fields, and the bytes of a record that stand for one: a byte that chooses it, then its fields, two bytes each. */
import { ConfigError } from '../src/errors.ts';

/** The values that a field takes: a record's number chooses one of so many, or of a list. */
export type Field = number | readonly number[];

export interface Operation<World> {
  readonly name: string;
  /** How many of 256 records it is, beside the others'. Default 1. */
  readonly share?: number;
  readonly fields: Readonly<Record<string, Field>>;
  /** @returns what it answered */
  readonly run: (world: World, values: readonly number[]) => number;
}

const FIELD_BYTES = 2;

export class OperationTable<World> {
  readonly recordBytes: number;
  private readonly list: readonly Operation<World>[];
  /** Operations by the first byte of a record. */
  private readonly slots: number[] = [];

  constructor(list: readonly Operation<World>[]) {
    this.list = list;
    list.forEach((one, k) => { for (let n = one.share ?? 1; n > 0; n--) this.slots.push(k); });
    if (this.slots.length > 256) throw new ConfigError('share', 'at most 256 in all', this.slots.length);
    this.recordBytes = 1 + FIELD_BYTES * Math.max(...list.map(({ fields }) => Object.keys(fields).length));
  }

  /** Which operation a record is, and the values of its fields. */
  decode(record: Uint8Array): readonly [operation: number, values: number[]] {
    const operation = this.slots[record[0]! % this.slots.length]!;
    const values = Object.values(this.list[operation]!.fields).map((field, k) => {
      const raw = record[1 + k * FIELD_BYTES]! | (record[2 + k * FIELD_BYTES]! << 8);
      return typeof field === 'number' ? raw % field : field[raw % field.length]!;
    });
    return [operation, values];
  }

  nameOf(operation: number): string {
    return this.list[operation]!.name;
  }

  /** Do what a record says. @returns the operation's number and what it answered */
  run(world: World, record: Uint8Array): readonly [operation: number, answer: number] {
    const [operation, values] = this.decode(record);
    return [operation, this.list[operation]!.run(world, values)];
  }

  /** The record of an operation. @param values - of its fields, by name; 0, or the first of the list, where there is none @throws ConfigError */
  encode(name: string, values: Readonly<Record<string, number>> = {}): Uint8Array {
    const operation = this.list.findIndex(one => one.name === name);
    if (operation < 0) throw new ConfigError('operation', `one of ${this.list.map(one => one.name).join(', ')}`, name);
    const record = new Uint8Array(this.recordBytes), { fields } = this.list[operation]!;
    record[0] = this.slots.indexOf(operation);
    for (const key of Object.keys(values)) if (!(key in fields)) throw new ConfigError(`${name}.${key}`, `one of ${Object.keys(fields).join(', ')}`, values[key]);
    Object.entries(fields).forEach(([key, field], k) => {
      const value = values[key] ?? (typeof field === 'number' ? 0 : field[0]!), raw = typeof field === 'number' ? value : field.indexOf(value);
      if (raw < 0 || (typeof field === 'number' && raw >= field)) throw new ConfigError(`${name}.${key}`, typeof field === 'number' ? `less than ${field}` : `one of ${field.join(', ')}`, value);
      record[1 + k * FIELD_BYTES] = raw & 0xff;
      record[2 + k * FIELD_BYTES] = raw >>> 8;
    });
    return record;
  }

  /** The record of an operation in words, as `explain()` has them. @throws ConfigError */
  parse(words: string): Uint8Array {
    const [name = '', ...fields] = words.trim().split(/\s+/), values: Record<string, number> = {};
    for (const field of fields) {
      const [key = '', text = ''] = field.split('='), value = Number(text);
      if (text === '' || !Number.isInteger(value)) throw new ConfigError(`${name}.${key}`, 'a whole number', field);
      values[key] = value;
    }
    return this.encode(name, values);
  }

  /** A record in words. */
  explain(record: Uint8Array): string {
    const [operation, values] = this.decode(record), { name, fields } = this.list[operation]!;
    return [name, ...Object.keys(fields).map((key, k) => `${key}=${values[k]! > 9 ? `0x${values[k]!.toString(16)}` : values[k]}`)].join(' ');
  }
}
