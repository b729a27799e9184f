/** The player of the test picture: it plays while the session is live, unless one has stopped it. */

import { byId, setText } from "../dom.js";

export function playerView(changed) {
  const toggle = byId("player-toggle");
  let wanted = true;

  toggle.addEventListener("click", () => {
    wanted = !wanted;
    changed();
  });

  return {
    open() {
      wanted = true;
    },
    /** Whether the picture plays, and can be seen. */
    plays: (session) => wanted && session.showing && !document.hidden,
    render(session) {
      toggle.hidden = !session.showing;
      toggle.dataset.playing = wanted;
      setText(toggle, wanted ? "Stop watching" : "Watch");
      byId("stage").classList.toggle("unwatched", session.showing && !wanted);
    },
  };
}
