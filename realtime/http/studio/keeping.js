/** What a tab keeps for when it is loaded again. A browser may have no room for it, or keep nothing at all: then it is done without. */

/** Gives what this tab has kept under a key, or null: what `fits` not, or has it throw, is of another version of this page. */
export function kept(key, fits) {
  try {
    const value = JSON.parse(sessionStorage.getItem(key));
    return fits(value) ? value : null;
  } catch {
    return null;
  }
}

export function keep(key, value) {
  try {
    sessionStorage.setItem(key, JSON.stringify(value));
  } catch {
    // The page goes on without, until it is loaded again.
  }
}

export function forgetAll() {
  try {
    sessionStorage.clear();
  } catch {
    // Then there is nothing to forget.
  }
}
