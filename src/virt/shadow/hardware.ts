/** What shadow paging needs of a hardware vCPU. The machine's `Vcpu` is one. */
export interface HardwareVcpu {
  /** Byte offset of its block. */
  readonly block: number;
  readonly cycles: number;
  readonly paddrLo: number;
  readonly paddrHi: number;
  access(vaHi: number, vaLo: number, kind: number): number;
  translate(va: bigint, kind: number): HardwareTranslation;
  reset(): void;
  flush(): void;
  invlpg(va: bigint): void;
  invpcid(type: number, pcid: bigint, va: bigint): number;
  setAc(on: boolean): void;
  setCode64(on: boolean): void;
  writeCr0(value: bigint): number;
  writeCr3(value: bigint): number;
  writeCr4(value: bigint): number;
  writeEfer(value: bigint): number;
}

/** Outcome of an access of the hardware. */
export type HardwareTranslation =
  | { readonly ok: true; readonly paddr: bigint; readonly pageBytes: number; readonly cycles: number; readonly path: string }
  | { readonly ok: false; readonly vector: number; readonly errorCode: number; readonly cr2: bigint | undefined; readonly cycles: number };
