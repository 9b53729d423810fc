/**
 * A ring of requests and responses in one shared page, as split drivers use it: both ends, with what a page says of an end that is not to be
 * trusted checked.
 *
 * The page: words `req_prod`, `req_event`, `rsp_prod`, `rsp_event`, then from byte 64 on entries, each a request or, in its place, its response.
 * Counts run on over 32 bits; an entry's slot is its count modulo the ring's size.
 *
 * Source: facts of Xen 4.17, xen/include/public/io/ring.h (DEFINE_RING_TYPES, RING_PUSH_REQUESTS_AND_CHECK_NOTIFY, RING_FINAL_CHECK_FOR_REQUESTS
 *         and their like for responses, RING_REQUEST_PROD_OVERFLOW, RING_RESPONSE_PROD_OVERFLOW, RING_COPY_REQUEST).
 */
import { ConfigError } from '../errors.ts';

const PAGE_BYTES = 4096;
const HEADER_BYTES = 64;
const REQ_PROD = 0; // words
const REQ_EVENT = 1;
const RSP_PROD = 2;
const RSP_EVENT = 3;

/** Where a shared page is: some memory, and the byte offset of the page in it. */
export interface RingPage {
  readonly buffer: ArrayBufferLike;
  readonly offset: number;
}

/** What the two ends have in common. */
class Ring {
  /** Entries: the largest power of two of them that the page has room for. */
  readonly size: number;
  protected readonly words: Int32Array;
  protected readonly entryBytes: number;
  private readonly page: RingPage;

  /** @param entryBytes - of a request or a response, whichever is larger @throws ConfigError */
  constructor(page: RingPage, entryBytes: number) {
    const most = PAGE_BYTES - HEADER_BYTES;
    if (!Number.isInteger(entryBytes) || entryBytes < 1 || entryBytes > most) throw new ConfigError('entryBytes', `an integer from 1 to ${most}`, entryBytes);
    if (page.offset % 4 !== 0 || page.offset + PAGE_BYTES > page.buffer.byteLength) throw new ConfigError('page.offset', 'that of a page in the buffer', page.offset);
    this.page = page;
    this.entryBytes = entryBytes;
    this.size = 2 ** Math.floor(Math.log2(most / entryBytes));
    this.words = new Int32Array(page.buffer, page.offset, HEADER_BYTES / 4);
  }

  protected load(word: number): number { return Atomics.load(this.words, word) >>> 0; }
  protected store(word: number, value: number): void { Atomics.store(this.words, word, value); }

  /** The entry of a count, in the page. */
  protected entry(count: number): DataView {
    return new DataView(this.page.buffer, this.page.offset + HEADER_BYTES + (count & (this.size - 1)) * this.entryBytes, this.entryBytes);
  }

  /** The same, copied: the other end may write to the page at any time. */
  protected copied(count: number): DataView {
    const { buffer, byteOffset } = this.entry(count);
    return new DataView(new Uint8Array(buffer, byteOffset, this.entryBytes).slice().buffer);
  }

  /** Publish a producer's count. @returns whether the other end asked to be told of one of the entries that are new */
  protected publish(prod: number, event: number, now: number): boolean {
    const before = this.load(prod);
    this.store(prod, now);
    return ((now - this.load(event)) >>> 0) < ((now - before) >>> 0);
  }
}

/** The end that makes requests. */
export class FrontRing extends Ring {
  private requested = 0; // req_prod_pvt
  private taken = 0; //     rsp_cons

  /** Begin an empty ring: the page is initialized. */
  constructor(page: RingPage, entryBytes: number) {
    super(page, entryBytes);
    this.words.fill(0);
    this.store(REQ_EVENT, 1);
    this.store(RSP_EVENT, 1);
  }

  /** Requests that there is room for. */
  get free(): number { return this.size - ((this.requested - this.taken) >>> 0); }

  /** The next request, to be filled in; it is seen after `push()`. The caller has looked at `free`. */
  request(): DataView {
    return this.entry(this.requested++);
  }

  /** Let the other end see the requests. @returns whether it is to be notified */
  push(): boolean {
    return this.publish(REQ_PROD, REQ_EVENT, this.requested);
  }

  /** Responses that are there; -1: more than there were requests for, the other end misbehaves. */
  get responses(): number {
    const count = (this.load(RSP_PROD) - this.taken) >>> 0;
    return count > this.size - this.free ? -1 : count;
  }

  /** The next response, copied. */
  response(): DataView {
    return this.copied(this.taken++);
  }

  /** Before waiting: ask to be notified of the next response. @returns whether one is there already, so that there is no waiting */
  mustGoOn(): boolean {
    if (this.responses !== 0) return true;
    this.store(RSP_EVENT, this.taken + 1);
    return this.responses !== 0;
  }
}

/** The end that answers. */
export class BackRing extends Ring {
  private answered = 0; // rsp_prod_pvt
  private taken = 0; //    req_cons

  /** Requests that are there and can be answered; -1: more than the ring holds, the other end misbehaves. */
  get requests(): number {
    const made = this.load(REQ_PROD);
    if (((made - this.answered) >>> 0) > this.size) return -1;
    return Math.min((made - this.taken) >>> 0, this.size - ((this.taken - this.answered) >>> 0));
  }

  /** The next request, copied. */
  request(): DataView {
    return this.copied(this.taken++);
  }

  /** The next response, to be filled in; it is seen after `push()`. */
  response(): DataView {
    return this.entry(this.answered++);
  }

  /** Let the other end see the responses. @returns whether it is to be notified */
  push(): boolean {
    return this.publish(RSP_PROD, RSP_EVENT, this.answered);
  }

  /** Before waiting: ask to be notified of the next request. @returns whether one is there already, so that there is no waiting */
  mustGoOn(): boolean {
    if (this.requests !== 0) return true;
    this.store(REQ_EVENT, this.taken + 1);
    return this.requests !== 0;
  }
}
