// The block of a domain's vCPU, started or not. Frames are machine frame numbers, -1 = none.

export const GUEST_DOMAIN = 0; //     domain identifier
export const GUEST_NUMBER = 4;
export const GUEST_CPU = 8; //        byte offset of the block of the machine's vCPU that runs it, 0 = it never runs
export const GUEST_ROOT = 12;
export const GUEST_USER_ROOT = 16;
export const GUEST_KERNEL_MODE = 20;
export const GUEST_CR2_LO = 24;
export const GUEST_CR2_HI = 28;
export const GUEST_LDT_BASE_LO = 32;
export const GUEST_LDT_BASE_HI = 36;
export const GUEST_LDT_ENTRIES = 40;
export const GUEST_GDT_ENTRIES = 44;
export const GUEST_GDT_FRAMES = 48; //number of frames in GUEST_GDT
export const GUEST_KERNEL_SS = 52;
export const GUEST_KERNEL_SP_LO = 56;
export const GUEST_KERNEL_SP_HI = 60;
export const GUEST_USER_GS = 64;
export const GUEST_BLOCKED = 68;
export const GUEST_POLL_PORT = 72;
export const GUEST_OLD_TABLE = 76;
export const GUEST_OLD_PARENT = 80;
export const GUEST_OLD_PARTIAL = 84;
export const GUEST_TRAPS = 88; //     byte offset of a page of TRAP rows by vector, 0 = none
export const GUEST_HANDLE_HEAD = 92; //list of free maptrack handles: the first and the last, -1 = there was none yet
export const GUEST_HANDLE_TAIL = 96;
export const GUEST_INFO_FRAME = 100; //frame of its vcpu_info where it was registered elsewhere than in the shared info, and byte offset
export const GUEST_INFO = 104;
export const GUEST_FIFO_FRAME = 108; //FIFO event channels: frame of the control block, and its byte offset
export const GUEST_FIFO_CONTROL = 112;
export const GUEST_HOME = 116; //     byte offset of its domain's block
export const GUEST_SEGMENT_BASES = 128; //6 words
export const GUEST_GDT = 160; //      up to 14 frames
export const GUEST_FIFO_TAILS = 224; //last port of each of 16 queues, 0 = none
export const GUEST_VIRQS = 288; //    port of each of 32 VIRQs, 0 = none
export const GUEST_LDT = 416; //      frame of each of 16 pages of the local descriptor table
export const GUEST_LDT_END = 480;
export const GUEST_BYTES = 512;

// Where a guest's kernel takes an exception.
export const TRAP_FLAGS = 0; //       bits 7:0 as given, and
export const TRAP_SET = 1 << 8; //    there is one
export const TRAP_SELECTOR = 4;
export const TRAP_ADDRESS_LO = 8;
export const TRAP_ADDRESS_HI = 12;
export const TRAP_BYTES = 16;
