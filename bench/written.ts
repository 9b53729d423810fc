/** Traces as bytes in memory. */
import type { ByteSink, TraceReader, TraceWriter } from '../dist/trace/index.js';

/** A trace, so many times in a row, in another format. */
export async function written(open: () => Promise<TraceReader>, Writer: new (sink: ByteSink) => TraceWriter, times = 1): Promise<Uint8Array> {
  const parts: Uint8Array[] = [], writer = new Writer(async bytes => void parts.push(bytes.slice()));
  for (let k = 0; k < times; k++) {
    const reader = await open();
    for (let batch = await reader.next(); batch; batch = await reader.next()) await writer.write(batch);
    await reader.close();
  }
  await writer.end();
  return Buffer.concat(parts);
}
