/** Where a domain's event channels are kept. */
import type { Domain } from './domain.ts';
import type { EventPorts } from './event-ports.ts';

export const eventsOf = (d: Domain): EventPorts => d.events;
