// Small things that are kept by the browser: who the device is, what a person has chosen, what the relay has said.

/** Text by name. What cannot be kept is remembered for as long as the page lives. */
export class Keep {
  readonly #prefix: string;
  readonly #storage: Storage | undefined;
  /** What the browser refuses to keep; it may fail in whatever it is asked. */
  readonly #memory = new Map<string, string>();

  constructor(prefix: string, storage: Storage | undefined) {
    this.#prefix = `${prefix}.`;
    this.#storage = storage;
  }

  get(name: string): string | undefined {
    return this.#memory.get(name) ?? this.#try((storage) => storage.getItem(this.#prefix + name)) ?? undefined;
  }

  /** Keeps a text; removes it where it is undefined. */
  set(name: string, value: string | undefined): void {
    this.#memory.delete(name);
    const kept = this.#try((storage) => {
      if (value === undefined) {
        storage.removeItem(this.#prefix + name);
      } else {
        storage.setItem(this.#prefix + name, value);
      }
      return true;
    });
    if (!kept && value !== undefined) {
      this.#memory.set(name, value);
    }
  }

  /** Returns the names that begin like this. */
  names(prefix: string): string[] {
    const names = this.#try((storage) => Object.keys(storage)) ?? [];
    return names.filter((name) => name.startsWith(this.#prefix + prefix)).map((name) => name.slice(this.#prefix.length));
  }

  /** Returns what was kept as JSON; undefined where there is none, or something else. */
  json<T>(name: string): T | undefined {
    try {
      return JSON.parse(this.get(name) ?? "") as T;
    } catch {
      return undefined;
    }
  }

  /** Returns whether a change of this name in the browser's storage is one of ours. */
  owns(name: string | null): boolean {
    return name === null || name.startsWith(this.#prefix);
  }

  #try<T>(use: (storage: Storage) => T): T | undefined {
    try {
      return this.#storage && use(this.#storage);
    } catch {
      return undefined;
    }
  }
}
