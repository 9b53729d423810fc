/** CRC-32 of RFC 1952 (gzip), "Appendix: Sample CRC Code", where nothing faster is to be had: browsers, and Node before 20.15. */
const POLYNOMIAL = 0xedb88320;
const TABLE = new Int32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? POLYNOMIAL : 0);
  TABLE[byte] = remainder;
}

/** @param before - checksum of the bytes before these. @returns an unsigned 32-bit number */
export function crc32ByTable(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  for (let at = 0; at < bytes.length; at++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[at]) & 255];
  return ~crc >>> 0;
}
