/** Where a domain's event channels are kept. */
import type { Domain } from './domain.ts';
import { EventPorts } from './event-port.ts';

/** A domain's ports; they come into being with port 0 reserved. */
export function eventsOf(d: Domain): EventPorts {
  return d.events ??= new EventPorts(d, d.maxEventPort);
}
