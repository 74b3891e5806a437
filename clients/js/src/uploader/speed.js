/** How fast bytes leave, and how long the rest will take. Pure: times are given, in milliseconds. */

const WINDOW = 8_000; // milliseconds that a speed is the mean of
const LEAST = 1_000; // milliseconds before there is one: at first bytes only fill buffers

export class Speed {
  #marks = []; // [time, loaded], one for each quarter of a second

  /** Bytes that have left by `now`; the mean speed in bytes a second, 0 while it is not known. */
  at(now, loaded) {
    const marks = this.#marks;
    if (loaded < marks.at(-1)?.[1]) marks.length = 0; // it begins afresh
    if (!(now - marks.at(-1)?.[0] < WINDOW / 32)) marks.push([now, loaded]);
    while (now - marks[0][0] > WINDOW && marks.length > 1) marks.shift();
    const [since, before] = marks[0];
    return now - since < LEAST ? 0 : ((loaded - before) * 1000) / (now - since);
  }

  /** Forget it, because nothing is sent now. */
  stop() {
    this.#marks = [];
  }
}
