// The constants of src/arch/fault.ts that the engine needs. That file cannot be compiled here because of its arrow functions;
// test/wasm/engine.test.ts compares the numbers.
export const PFEC_P = 1 << 0;
export const PFEC_W = 1 << 1;
export const PFEC_U = 1 << 2;
export const PFEC_RSVD = 1 << 3;
export const PFEC_I = 1 << 4;
export const PFEC_PK = 1 << 5;
export const PFEC_SS = 1 << 6;

export const ACCESS_READ = 0;
export const ACCESS_WRITE = PFEC_W;
export const ACCESS_USER = PFEC_U;
export const ACCESS_FETCH = PFEC_I;
export const ACCESS_SHADOW_STACK = PFEC_SS;
export const ACCESS_IMPLICIT = 1 << 7;
export const ACCESS_STACK = 1 << 8;
export const ACCESS_CODE = PFEC_W | PFEC_U | PFEC_I | PFEC_SS;
export const ACCESS_RIGHTS = ACCESS_CODE | ACCESS_IMPLICIT;

export const FAULT_NONE = 0;
export const FAULT_UD = 6 << 16;
export const FAULT_SS = 12 << 16;
export const FAULT_GP = 13 << 16;
export const FAULT_PF = 14 << 16;
