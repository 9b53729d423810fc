/** A block device split in two: the front of one domain and the back of another, on a ring as in the public io/blkif.h, 64-bit. */
import { DeferredRelease } from '../../../src/xen/deferred-release.ts';
import { BackRing, FrontRing } from '../../../src/xen/ring.ts';
import { type Kernel, type Mapping } from './kernel.ts';

export const READ = 0, WRITE = 1;
const ENTRY_BYTES = 112, SEGMENTS = 24, SEGMENT_BYTES = 8, SECTOR = 512, SECTORS = 8; // of struct blkif_request; sectors of a page
const OKAY = 0, ERROR = -1;

interface Request {
  readonly refs: readonly number[];
  readonly done: (status: number) => void;
}

export class BlockFront {
  readonly kernel: Kernel;
  ring!: FrontRing;
  ringRef = -1;
  port = 0;
  private ringPage = -1;
  private back = -1;
  private next = 0;
  private readonly requests = new Map<number, Request & { readonly operation: number; readonly sector: number; readonly pages: readonly number[] }>();

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** Offer a ring and a port. */
  connect(back: number): void {
    this.back = back;
    this.ringPage = this.kernel.take();
    this.ring = new FrontRing(this.kernel.page(this.ringPage), ENTRY_BYTES);
    this.ringRef = this.kernel.grants.grant(back, this.ringPage);
    this.port = this.kernel.offer(back);
  }

  get outstanding(): number { return this.requests.size; }

  /** Read into pages, or write them. */
  submit(operation: number, sector: number, pages: readonly number[], done: (status: number) => void = () => {}): void {
    const view = this.ring.request(), id = this.next++, refs = pages.map(page => this.kernel.grants.grant(this.back, page, operation === WRITE));
    view.setUint8(0, operation);
    view.setUint8(1, pages.length);
    view.setUint16(2, 51712, true);
    view.setBigUint64(8, BigInt(id), true);
    view.setBigUint64(16, BigInt(sector), true);
    refs.forEach((ref, k) => {
      view.setUint32(SEGMENTS + k * SEGMENT_BYTES, ref, true);
      view.setUint8(SEGMENTS + k * SEGMENT_BYTES + 4, 0);
      view.setUint8(SEGMENTS + k * SEGMENT_BYTES + 5, SECTORS - 1);
    });
    this.requests.set(id, { operation, sector, pages, refs, done });
    if (this.ring.push()) this.kernel.send(this.port);
  }

  /** Take the responses that are there. */
  complete(): void {
    do {
      for (let n = this.ring.responses; n > 0; n--) {
        const view = this.ring.response(), id = Number(view.getBigUint64(0, true)), { refs, done } = this.requests.get(id)!;
        for (const ref of refs) if (!this.kernel.grants.end(ref)) throw new Error(`grant ${ref} is still in use`);
        this.requests.delete(id);
        done(view.getInt16(10, true));
      }
    } while (this.ring.mustGoOn());
  }

  /** When nothing is outstanding and the back has let go. */
  disconnect(): void {
    this.kernel.close(this.port);
    if (!this.kernel.grants.end(this.ringRef)) throw new Error('the ring is still in use');
    this.kernel.pages.push(this.ringPage);
  }

  /** Withdraw all that is granted, now or when the back lets go of it. The pages of requests in flight are given back then. */
  unload(deferred: DeferredRelease<number>): void {
    for (const { refs, pages } of this.requests.values()) refs.forEach((ref, k) => deferred.end(ref, pages[k]!));
    this.requests.clear();
    this.kernel.close(this.port);
    deferred.end(this.ringRef, this.ringPage);
  }

  /** A new back takes over: a new ring, on which what was not answered is asked again. */
  reconnect(back: number, deferred: DeferredRelease<number>): void {
    const again = [...this.requests.values()];
    this.requests.clear();
    for (const { refs } of again) for (const ref of refs) deferred.end(ref, -1);
    this.kernel.close(this.port);
    deferred.end(this.ringRef, this.ringPage);
    this.connect(back);
    this.lost = again;
  }

  private lost: { operation: number; sector: number; pages: readonly number[]; done: (status: number) => void }[] = [];

  /** Ask again, once the new back is there. */
  resubmit(): number {
    const again = this.lost;
    this.lost = [];
    for (const { operation, sector, pages, done } of again) this.submit(operation, sector, pages, done);
    return again.length;
  }
}

export class BlockBack {
  readonly kernel: Kernel;
  readonly port: number;
  private readonly front: number;
  private readonly disk: Uint8Array;
  private readonly ring: BackRing;
  private readonly ringMap: Mapping;
  private readonly bounce: readonly number[];

  /** @param bounce - frames to copy through; none: pages are mapped */
  constructor(kernel: Kernel, front: BlockFront, disk: Uint8Array, bounce: readonly number[] = []) {
    this.kernel = kernel;
    this.front = front.kernel.id;
    this.disk = disk;
    this.bounce = bounce;
    [this.ringMap] = kernel.map(this.front, [front.ringRef]) as [Mapping];
    this.ring = new BackRing(kernel.reach(this.ringMap.va), ENTRY_BYTES);
    this.port = kernel.bind(this.front, front.port);
  }

  /** Serve the requests that are there. @param most - of them @returns how many */
  serve(most = Infinity): number {
    let served = 0;
    do {
      for (let n = this.ring.requests; n > 0 && served < most; n--, served++) this.answer(this.ring.request());
    } while (served < most && this.ring.mustGoOn());
    return served;
  }

  /** Map the pages of the next request, and go no further: it stays unanswered. */
  hang(): Mapping[] {
    const view = this.ring.request();
    return this.kernel.map(this.front, this.refs(view), view.getUint8(0) === WRITE);
  }

  private refs(view: DataView): number[] {
    return Array.from({ length: view.getUint8(1) }, (_, k) => view.getUint32(SEGMENTS + k * SEGMENT_BYTES, true));
  }

  private answer(view: DataView): void {
    const operation = view.getUint8(0), sector = Number(view.getBigUint64(16, true)), refs = this.refs(view);
    const fits = (sector + refs.length * SECTORS) * SECTOR <= this.disk.length;
    if (fits && this.bounce.length > 0) this.transferByCopy(operation, sector, refs);
    else if (fits) this.transfer(operation, sector, refs);
    const response = this.ring.response();
    response.setBigUint64(0, view.getBigUint64(8, true), true);
    response.setUint8(8, operation);
    response.setInt16(10, fits ? OKAY : ERROR, true);
    if (this.ring.push()) this.kernel.send(this.port);
  }

  private transfer(operation: number, sector: number, refs: readonly number[]): void {
    const mappings = this.kernel.map(this.front, refs, operation === WRITE);
    mappings.forEach(({ va }, k) => {
      const { buffer, offset } = this.kernel.reach(va, operation === READ), page = new Uint8Array(buffer, offset, SECTORS * SECTOR);
      this.move(operation, sector + k * SECTORS, page);
    });
    this.kernel.unmap(mappings);
  }

  private transferByCopy(operation: number, sector: number, refs: readonly number[]): void {
    const copy = () => this.kernel.copy(...refs.map((ref, k) => {
      const own = this.bounce[k]!, theirs = [this.front, ref] as const;
      return operation === WRITE ? { from: theirs, to: own, bytes: 4096 } : { from: own, to: theirs, bytes: 4096 };
    }));
    const move = () => refs.forEach((_, k) => this.move(operation, sector + k * SECTORS, this.kernel.bytes(this.bounce[k]!)));
    if (operation === READ) move();
    if (copy().some(status => status !== 0)) throw new Error('a page was not copied');
    if (operation === WRITE) move();
  }

  private move(operation: number, sector: number, page: Uint8Array): void {
    if (operation === WRITE) this.disk.set(page, sector * SECTOR);
    else page.set(this.disk.subarray(sector * SECTOR, sector * SECTOR + page.length));
  }

  /** Let go of everything. */
  disconnect(): void {
    this.kernel.close(this.port);
    this.kernel.unmap([this.ringMap]);
  }
}
