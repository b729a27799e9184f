/** The focus of those who use the keyboard: it stays where it is, or near. */

const ABLE = "button:enabled:not([tabindex='-1']), a[href], [tabindex='0']";

/** Allows a button for now, or not. It keeps the focus meanwhile, which one that is disabled for good would lose. */
export function allow(button, on) {
  button.ariaDisabled = on ? null : "true";
}

/**
 * Has what vanishes under the focus hand it on to what is nearest. Gives `tick()`, to be called a few times a second;
 * `otherwise()` gives what takes the focus where nothing near can.
 */
export function focusKeeper(otherwise) {
  // What has the focus, and all that it is in.
  let way = [];
  addEventListener("focusin", ({ target }) => (way = wayTo(target)));
  // Whoever points elsewhere has left it.
  addEventListener("pointerdown", ({ target }) => !way[0]?.contains(target) && (way = []));
  addEventListener("click", refuse, { capture: true });
  return () => {
    const [left, ...around] = way;
    if (!left || document.activeElement !== document.body || holds(left)) return;
    const next = around.filter(isSeen).map(ableIn).find(Boolean) ?? otherwise();
    next.focus({ preventScroll: true });
  };
}

function refuse(event) {
  if (!event.target.closest("[aria-disabled=true]")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

function wayTo(element) {
  const way = [];
  for (let at = element; at && !at.matches("main, body"); at = at.parentElement) way.push(at);
  return way;
}

const isSeen = (element) => element.isConnected && element.checkVisibility();
const holds = (element) => isSeen(element) && !element.matches(":disabled");
const ableIn = (element) => (element.matches("[tabindex]") ? element : [...element.querySelectorAll(ABLE)].find(isSeen));
