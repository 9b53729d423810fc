/** A network interface split in two, on a pair of rings as in the public io/netif.h: packets go by copies between granted pages. */
import { BackRing, FrontRing } from '../../../src/xen/ring.ts';
import { type Kernel, type Mapping } from './kernel.ts';

const TX_BYTES = 12, RX_BYTES = 8; // of struct netif_tx_request, of netif_rx_request and netif_rx_response
const MORE = 1 << 2; // NETTXF_more_data, NETRXF_more_data
const PAGE = 4096, BUFFERS = 32, OKAY = 0;

interface Buffer { readonly page: number; readonly ref: number }

export class NetworkFront {
  readonly kernel: Kernel;
  readonly port: number;
  readonly txRef: number;
  readonly rxRef: number;
  readonly received: Uint8Array[] = [];
  private readonly back: number;
  private readonly pages: readonly [tx: number, rx: number];
  private readonly tx: FrontRing;
  private readonly rx: FrontRing;
  private readonly sent = new Map<number, Buffer>();
  private readonly posted = new Map<number, Buffer>();
  private part: Uint8Array[] = [];
  private next = 0;

  constructor(kernel: Kernel, back: number) {
    this.kernel = kernel;
    this.back = back;
    this.pages = [kernel.take(), kernel.take()];
    this.tx = new FrontRing(kernel.page(this.pages[0]), TX_BYTES);
    this.rx = new FrontRing(kernel.page(this.pages[1]), RX_BYTES);
    [this.txRef, this.rxRef] = this.pages.map(page => kernel.grants.grant(back, page)) as [number, number];
    this.port = kernel.offer(back);
    for (let k = 0; k < BUFFERS; k++) this.post(k);
    this.rx.push(); // no one is there yet
  }

  /** Give the back a page to fill. */
  private post(id: number): void {
    const page = this.kernel.take(), ref = this.kernel.grants.grant(this.back, page), view = this.rx.request();
    view.setUint16(0, id, true);
    view.setUint32(4, ref, true);
    this.posted.set(id, { page, ref });
  }

  /** Send a packet: a page for each 4096 bytes. The first request has the size of all. */
  send(packet: Uint8Array): void {
    for (let from = 0; from < packet.length; from += PAGE) {
      const part = packet.subarray(from, from + PAGE), page = this.kernel.take(), id = this.next++ & 0xffff;
      this.kernel.bytes(page).set(part);
      const ref = this.kernel.grants.grant(this.back, page, true), view = this.tx.request();
      view.setUint32(0, ref, true);
      view.setUint16(4, 0, true);
      view.setUint16(6, from + PAGE < packet.length ? MORE : 0, true);
      view.setUint16(8, id, true);
      view.setUint16(10, from === 0 ? packet.length : part.length, true);
      this.sent.set(id, { page, ref });
    }
    if (this.tx.push()) this.kernel.send(this.port);
  }

  private release({ page, ref }: Buffer): void {
    if (!this.kernel.grants.end(ref)) throw new Error(`grant ${ref} is still in use`);
    this.kernel.pages.push(page);
  }

  /** Take what was sent, and what has come. */
  poll(): void {
    do {
      for (let n = this.tx.responses; n > 0; n--) {
        const id = this.tx.response().getUint16(0, true);
        this.release(this.sent.get(id)!);
        this.sent.delete(id);
      }
    } while (this.tx.mustGoOn());
    let refilled = false;
    do {
      for (let n = this.rx.responses; n > 0; n--, refilled = true) this.receive(this.rx.response());
    } while (this.rx.mustGoOn());
    if (refilled && this.rx.push()) this.kernel.send(this.port);
  }

  private receive(view: DataView): void {
    const id = view.getUint16(0, true), buffer = this.posted.get(id)!, from = view.getUint16(2, true), size = view.getInt16(6, true);
    this.part.push(this.kernel.bytes(buffer.page).slice(from, from + size));
    if ((view.getUint16(4, true) & MORE) === 0) {
      this.received.push(Uint8Array.from(this.part.flatMap(part => [...part])));
      this.part = [];
    }
    this.release(buffer);
    this.post(id);
  }

  close(): void {
    for (const buffer of this.posted.values()) this.release(buffer);
    this.kernel.close(this.port);
    for (const [k, ref] of [this.txRef, this.rxRef].entries()) this.release({ page: this.pages[k]!, ref });
  }
}

export class NetworkBack {
  readonly kernel: Kernel;
  readonly port: number;
  private readonly front: number;
  private readonly maps: readonly Mapping[];
  private readonly tx: BackRing;
  private readonly rx: BackRing;
  private readonly bounce: readonly number[];

  constructor(kernel: Kernel, front: NetworkFront) {
    this.kernel = kernel;
    this.front = front.kernel.id;
    this.maps = kernel.map(this.front, [front.txRef, front.rxRef]);
    [this.tx, this.rx] = this.maps.map(({ va }, k) => new BackRing(kernel.reach(va), k === 0 ? TX_BYTES : RX_BYTES)) as [BackRing, BackRing];
    this.bounce = Array.from({ length: 16 }, () => kernel.take());
    this.port = kernel.bind(this.front, front.port);
  }

  /** Take the packets that were sent, each by one call. */
  packets(): Uint8Array[] {
    const packets: Uint8Array[] = [];
    let notify = false;
    do {
      while (this.tx.requests > 0) {
        packets.push(this.take());
        notify = this.tx.push() || notify;
      }
    } while (this.tx.mustGoOn());
    if (notify) this.kernel.send(this.port);
    return packets;
  }

  private take(): Uint8Array {
    const requests: DataView[] = [];
    do requests.push(this.tx.request()); while ((requests.at(-1)!.getUint16(6, true) & MORE) !== 0);
    const sizes = requests.map(view => view.getUint16(10, true)), whole = sizes[0]!;
    sizes[0] = whole - sizes.slice(1).reduce((sum, size) => sum + size, 0);
    const statuses = this.kernel.copy(...requests.map((view, k) =>
      ({ from: [this.front, view.getUint32(0, true)] as const, at: view.getUint16(4, true), to: this.bounce[k]!, bytes: sizes[k]! })));
    if (statuses.some(status => status !== 0)) throw new Error('a packet was not copied');
    for (const view of requests) {
      const response = this.tx.response();
      response.setUint16(0, view.getUint16(8, true), true);
      response.setInt16(2, OKAY, true);
    }
    return Uint8Array.from(sizes.flatMap((size, k) => [...this.kernel.bytes(this.bounce[k]!).subarray(0, size)]));
  }

  /** Let packets come to the front, each by one call. @returns how many found room */
  deliver(packets: readonly Uint8Array[]): number {
    let delivered = 0, notify = false;
    for (const packet of packets) {
      const pages = Math.ceil(packet.length / PAGE);
      if (!this.rx.mustGoOn() || this.rx.requests < pages) break; // without any it asks to be told
      const requests = Array.from({ length: pages }, () => this.rx.request());
      this.kernel.copy(...requests.map((view, k) => {
        const part = packet.subarray(k * PAGE, (k + 1) * PAGE);
        this.kernel.bytes(this.bounce[k]!).set(part);
        return { from: this.bounce[k]!, to: [this.front, view.getUint32(4, true)] as const, bytes: part.length };
      }));
      requests.forEach((view, k) => {
        const response = this.rx.response();
        response.setUint16(0, view.getUint16(0, true), true);
        response.setUint16(2, 0, true);
        response.setUint16(4, k < pages - 1 ? MORE : 0, true);
        response.setInt16(6, Math.min(packet.length - k * PAGE, PAGE), true);
      });
      notify = this.rx.push() || notify;
      delivered++;
    }
    if (notify) this.kernel.send(this.port);
    return delivered;
  }

  close(): void {
    this.kernel.close(this.port);
    this.kernel.unmap(this.maps);
    this.kernel.pages.push(...this.bounce);
  }
}
