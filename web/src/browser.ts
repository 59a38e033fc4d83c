// What browsers allow, or do not.

/** Returns a storage of the browser; undefined where it forbids it. */
export function storage(name: "localStorage" | "sessionStorage"): Storage | undefined {
  try {
    return window[name];
  } catch {
    return undefined;
  }
}

/** Runs something in one tab at a time; where the browser cannot, or forbids it, in several. */
export async function alone(name: string, run: () => Promise<void>): Promise<void> {
  try {
    await navigator.locks.request(name, run);
  } catch {
    await run();
  }
}

/** Returns whether the browser says that its person is not to be tracked. */
export function hasSignal(): boolean {
  const { globalPrivacyControl, doNotTrack } = navigator as { globalPrivacyControl?: boolean; doNotTrack?: string | null };
  return globalPrivacyControl === true || doNotTrack === "1";
}

/** Lets somebody save a file. */
export function save(file: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  // The browser has taken the file by the next turn.
  setTimeout(() => URL.revokeObjectURL(link.href), 0);
}
