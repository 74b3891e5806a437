/** How fast bytes leave. Pure: times are given, in milliseconds. */

const WINDOW = 8_000; // milliseconds that a speed is the mean of
const LEAST = 1_000; // milliseconds before there is one: at first bytes only fill buffers

export class Speed {
  #marks = []; // [time, loaded], one for each quarter of a second

  /**
   * The mean speed in bytes a second, 0 while it is not known; `loaded` are the bytes that have left
   * by `now`, or null where none is being sent, with which it begins afresh.
   */
  at(now, loaded) {
    let marks = this.#marks;
    if (loaded === null || loaded < marks.at(-1)?.[1]) marks = this.#marks = [];
    if (loaded === null) return 0;
    if (!(now - marks.at(-1)?.[0] < WINDOW / 32)) marks.push([now, loaded]);
    while (now - marks[0][0] > WINDOW && marks.length > 1) marks.shift();
    const [since, before] = marks[0];
    return now - since < LEAST ? 0 : ((loaded - before) * 1000) / (now - since);
  }
}
