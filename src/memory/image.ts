/**
 * Images: what a machine, or a domain, is kept in outside machine memory. Records one after the other, each with a checksum of its own, so
 * that damage is found, and told where, before anything is made of them.
 *
 *   header: magic, version, number of records, CRC-32 of these
 *   record: kind, number, bytes of its payload, CRC-32 of these and the payload; payload
 *
 * All words have 32 bits and are little-endian; nothing is aligned.
 */
import { ConfigError, InputError } from '../errors.ts';
import { crc32ByTable } from './crc32.ts';

const WORD = 4;
const HEAD = 16; // bytes of the header, and of what is before a payload
const CHECKSUM = 12;

/** What tells one sort of image from others. Kinds of records are their indices in `kinds`. */
export interface ImageForm {
  readonly magic: number;
  readonly version: number;
  readonly kinds: readonly string[];
}

/** `number` tells records of one kind apart. `at`: where its payload is in the image it was read from, in bytes. */
export interface ImageRecord {
  readonly kind: number;
  readonly number: number;
  readonly payload: Uint8Array;
  readonly at?: number;
}

/** Payload of a record that is all 32-bit words. */
export function wordBytes(words: ArrayLike<number>): Uint8Array {
  const view = new DataView(new ArrayBuffer(words.length * WORD));
  for (let k = 0; k < words.length; k++) view.setInt32(k * WORD, words[k] | 0, true);
  return new Uint8Array(view.buffer);
}

/** ... and back. @param bytes - a whole number of words */
export function bytesWords(bytes: Uint8Array): Int32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Int32Array.from({ length: bytes.length >>> 2 }, (_, k) => view.getInt32(k * WORD, true));
}

/** Put records into one image, in their order. */
export function writeImage(form: ImageForm, records: readonly ImageRecord[]): Uint8Array {
  const image = new Uint8Array(records.reduce((sum, { payload }) => sum + HEAD + payload.length, HEAD));
  putHead(image, 0, [form.magic, form.version, records.length], new Uint8Array(0));
  let at = HEAD;
  for (const { kind, number, payload } of records) {
    putHead(image, at, [kind, number, payload.length], payload);
    image.set(payload, at + HEAD);
    at += HEAD + payload.length;
  }
  return image;
}

function putHead(image: Uint8Array, at: number, words: readonly number[], payload: Uint8Array): void {
  image.set(wordBytes(words), at);
  image.set(wordBytes([checksum(image.subarray(at, at + CHECKSUM), payload)]), at + CHECKSUM);
}

const checksum = (head: Uint8Array, payload: Uint8Array): number => crc32ByTable(payload, crc32ByTable(head));

/**
 * Take an image apart; all of it is checked.
 *
 * @param file - what errors call it @throws InputError - naming the byte and the field: it is no such image, of another version, cut short,
 *   longer than it says, or damaged @throws ConfigError - no bytes
 */
export function readImage(form: ImageForm, image: Uint8Array, file: string): ImageRecord[] {
  if (!(image instanceof Uint8Array)) throw new ConfigError(file, 'an image as a Uint8Array', image);
  const view = new DataView(image.buffer, image.byteOffset, image.length), word = (at: number) => view.getUint32(at, true);
  const refuse = (at: number, field: string, expected: string, got: string | number): never => {
    throw new InputError(file, `byte ${at} (${field})`, expected, typeof got === 'number' ? `0x${got.toString(16)}` : got);
  };
  if (image.length < HEAD) refuse(image.length, 'header', `${HEAD} bytes`, 'the end of the file');
  if (word(0) !== form.magic) refuse(0, 'magic', `0x${form.magic.toString(16)}`, word(0));
  if (word(WORD) !== form.version) refuse(WORD, 'version', `${form.version}`, `${word(WORD)}`);
  const sum = checksum(image.subarray(0, CHECKSUM), new Uint8Array(0));
  if (word(CHECKSUM) !== sum) refuse(CHECKSUM, 'checksum of the header', `0x${sum.toString(16)}`, word(CHECKSUM));
  const records: ImageRecord[] = [];
  let at = HEAD;
  for (let k = 0, count = word(2 * WORD); k < count; k++) {
    if (at + HEAD > image.length) refuse(image.length, `record ${k} of ${count}`, `${at + HEAD - image.length} more bytes`, 'the end of the file');
    const kind = word(at), number = word(at + WORD), bytes = word(at + 2 * WORD);
    if (kind >= form.kinds.length) refuse(at, `kind of record ${k}`, `less than ${form.kinds.length}`, kind);
    const name = `${form.kinds[kind]} ${number}`, end = at + HEAD + bytes;
    if (end > image.length) refuse(image.length, name, `${end - image.length} more bytes`, 'the end of the file');
    const payload = image.slice(at + HEAD, end), found = checksum(image.subarray(at, at + CHECKSUM), payload);
    if (word(at + CHECKSUM) !== found) refuse(at + CHECKSUM, `checksum of ${name}`, `0x${found.toString(16)}`, word(at + CHECKSUM));
    records.push({ kind, number, payload, at: at + HEAD });
    at = end;
  }
  if (at !== image.length) refuse(at, 'end', 'the end of the file', `${image.length - at} more bytes`);
  return records;
}
