/** CRC-32 of gzip, by Node where it can. */
import * as zlib from 'node:zlib';
import { crc32ByTable } from '../memory/crc32.ts';

/** @param before - checksum of the bytes before these. @returns an unsigned 32-bit number */
export const crc32 = (zlib as { crc32?: typeof crc32ByTable }).crc32 ?? crc32ByTable; // Node has it from 20.15 on
