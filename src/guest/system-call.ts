/** Serves a process's recorded calls that concern its memory alone. */
import type { Kernel } from './kernel.ts';
import { map, protect, remap, setBreak, unmap } from './mapping-calls.ts';
import type { Mm } from './mm.ts';
import type { CachedFile } from './page-cache.ts';
import type { RecordedCall } from './recorded-call.ts';

export function serveCall(k: Kernel, mm: Mm, call: RecordedCall): void {
  switch (call.name) {
    case 'mmap': {
      const { start, end, prot, shared, file } = call;
      return map(k, mm, { start, end, prot, shared, file: file && fileOf(k, mm, start, file), offset: file?.offset ?? 0 });
    }
    case 'munmap': return unmap(k, mm, call.start, call.end);
    case 'mprotect': return protect(k, mm, call.start, call.end, call.prot);
    case 'mremap': return remap(k, mm, call.from, call.many, call.to, call.wanted);
    case 'brk': return setBreak(k, mm, call.end);
  }
}

/**
 * Which file is mapped. A trace has no names: a loader maps a library whole, then parts of it over that; other files are known by how much
 * of them is mapped, so that those of one length are one.
 */
function fileOf(k: Kernel, mm: Mm, start: number, file: { readonly bytes: number; readonly placed: boolean }): CachedFile {
  const under = file.placed ? mm.vmas.find(start)?.file : undefined;
  return under ?? k.cache.file(`${file.bytes} bytes`);
}
