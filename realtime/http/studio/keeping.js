/** What outlives a page. A browser may have no room for it, or keep nothing at all: then it is done without. */

/** What a tab keeps for when it is loaded again. Where nothing is allowed, its mere name throws. */
const ofTab = () => sessionStorage;
/** What a browser keeps for all of its tabs. */
export const ofBrowser = () => localStorage;

/** Gives what was kept under a key, or null: what `fits` not, or has it throw, is of another version of this page. */
export function kept(key, fits, storage = ofTab) {
  try {
    const value = JSON.parse(storage().getItem(key));
    return fits(value) ? value : null;
  } catch {
    return null;
  }
}

export function keep(key, value, storage = ofTab) {
  try {
    storage().setItem(key, JSON.stringify(value));
  } catch {
    // The page goes on without, until it is loaded again.
  }
}

/** Forgets all that the tab has kept. */
export function forgetAll() {
  try {
    sessionStorage.clear();
  } catch {
    // Then there is nothing to forget.
  }
}
