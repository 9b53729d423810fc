// An event-channel port.

export const PORT_STATE = 0; //       ECS_*
export const PORT_VCPU = 4; //        vCPU that is told of its events
export const PORT_REMOTE_DOMID = 8;
export const PORT_REMOTE_PORT = 12;
export const PORT_VIRQ = 16;
export const PORT_PIRQ = 20;
export const PORT_QUEUE = 24; //      FIFO: bits 7:0 the priority, 15:8 that of the queue it was put in last, and QUEUE_PENDING
export const PORT_LAST_VCPU = 28; //  ... and the vCPU of that queue
export const PORT_BYTES = 32;

export const QUEUE_PENDING = 1 << 16; // an event came while its word had no page
