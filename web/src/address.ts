// What may be said of an address: its path, and no more unless the page allows it.

/** What a page may allow to be sent that is left out by itself. */
export type Allowed = "query" | "fragment" | "message";

/** Parts of a path or of an id that look like an e-mail address. */
const ADDRESS = /[^/\s]*(@|%40)[^/\s]*/gi;

/** Returns a name without what looks like an e-mail address. */
export function anonymous(name: string): string {
  return name.replace(ADDRESS, ":address");
}

/** Returns the path of an address; query and fragment only where they are allowed. */
export function pathOf(url: URL, allowed: readonly Allowed[]): string {
  const query = allowed.includes("query") ? url.search : "";
  const fragment = allowed.includes("fragment") ? url.hash : "";
  return anonymous(url.pathname) + query + fragment;
}

/** Returns what is said of a link: its path on the page's own site, only the site elsewhere. */
export function linkOf(href: string, page: string, allowed: readonly Allowed[]): string | undefined {
  let url: URL;
  try {
    url = new URL(href, page);
  } catch {
    return undefined;
  }
  if (!url.protocol.startsWith("http")) {
    return undefined;
  }
  return url.origin === new URL(page).origin ? pathOf(url, allowed) : url.origin;
}

/**
 * Returns what tells one page of a single-page application from the next.
 *
 * A fragment does where it is a route (`#/cart`, `#!/cart`), and stays here: it is compared and not sent.
 */
export function identityOf(url: URL, allowed: readonly Allowed[]): string {
  const route = /^#!?\//.test(url.hash) ? url.hash.split("?")[0] : "";
  return pathOf(url, allowed) + route;
}
