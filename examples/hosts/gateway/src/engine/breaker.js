// Is a service to be asked at present?

/** Opens after so many failures in a row; after a while one request tries it, and its outcome decides. */
export class Breaker {
  #failures = 0;
  /** @type {number | null} */
  #opened = null;
  #trying = false;

  /** @param {number} failures @param {number} seconds @param {() => number} [clock] Seconds. */
  constructor(failures, seconds, clock = () => performance.now() / 1000) {
    this.failures = failures;
    this.seconds = seconds;
    this.clock = clock;
  }

  /** @returns {'closed' | 'open' | 'half_open'} */
  get state() {
    if (this.#opened === null) return 'closed';
    return this.clock() - this.#opened < this.seconds ? 'open' : 'half_open';
  }

  /** Whether a request would be let through now. */
  get passes() {
    return this.state === 'closed' || (this.state === 'half_open' && !this.#trying);
  }

  /** Takes the right to one request, and gives how it is told the outcome; undefined where there is none. */
  enter() {
    if (!this.passes) return undefined;
    const probe = this.state === 'half_open';
    if (probe) this.#trying = true;
    let told = false;
    return (/** @type {'good' | 'bad' | 'unknown'} */ outcome) => {
      if (told) return;
      told = true;
      if (probe) this.#trying = false;
      if (outcome === 'good') {
        this.#failures = 0;
        this.#opened = null;
      } else if (outcome === 'bad') {
        this.#failures += 1;
        if (probe || this.#failures >= this.failures) this.#opened = this.clock();
      }
    };
  }
}
