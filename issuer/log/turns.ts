/** Runs tasks one after the other, in the order of the calls; a task that fails does not hold up the next. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  async run<T>(task: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const turn = (async () => {
      await before;
      return task();
    })();
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
