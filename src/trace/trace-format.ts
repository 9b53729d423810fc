/** Formats of trace files, by the names used in `openTrace`, `convertTrace` and messages. */
export type TraceFormat = 'lackey' | 'champsim' | 'memtrace' | 'din' | 'pwt';

/** All of `TraceFormat`. */
export const TRACE_FORMATS: readonly TraceFormat[] = ['lackey', 'champsim', 'memtrace', 'din', 'pwt'];
