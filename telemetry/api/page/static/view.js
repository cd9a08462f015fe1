// What the reader chose, kept in the part of the URL behind #, so that the address is the view.

/** The choices of the address, over those of `usual`. */
export function choices(usual) {
  return { ...usual, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) };
}

/** Put choices into the address; those that are usual are left out. */
export function choose(chosen, usual) {
  const told = Object.entries(chosen).filter(([name, value]) => value && value !== usual[name]);
  const hash = new URLSearchParams(told).toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname);
}
