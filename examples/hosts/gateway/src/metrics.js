// How does the gateway fare, in Prometheus' words?

import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** The numbers of one gateway. No tenant, user or document is named in them. */
export class Metrics {
  registry = new Registry();
  requests = new Counter({ name: 'quorate_requests_total', help: 'Requests by route and status.', labelNames: ['method', 'route', 'status'], registers: [this.registry] });
  seconds = new Histogram({
    name: 'quorate_request_seconds',
    help: 'How long requests took.',
    labelNames: ['route'],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
    registers: [this.registry],
  });
  cut = new Counter({ name: 'quorate_slow_clients_total', help: 'Clients that were cut because they did not read.', registers: [this.registry] });
  refused = new Counter({ name: 'quorate_refused_total', help: 'Requests that were refused, by code.', labelNames: ['code'], registers: [this.registry] });
  engineRequests = new Counter({ name: 'quorate_engine_requests_total', help: 'Requests to engines by how they ended.', labelNames: ['outcome'], registers: [this.registry] });

  constructor() {
    collectDefaultMetrics({ register: this.registry, prefix: 'quorate_' });
  }

  /** A number that is read when somebody asks. @param {string} name @param {string} help @param {() => number} read */
  gauge(name, help, read) {
    new Gauge({ name, help, registers: [this.registry], collect() { this.set(read()); } });
  }
}
