/** What the views show: a session as its client knows it, with what follows from that for this user. Pure. */

/** The close of a host whose other device runs the session now: whoever came back by itself would take it in turns. */
export const TAKEN_OVER = 4409;
const STAFF = new Set(["host", "cohost", "moderator"]);

/** Gives the scene of a client, `live`, and a session of it. `reactions` has the totals; `asked` whether to be let in. */
export function sceneOf({ live, session, reactions, face, asked }, user) {
  const { snapshot: view, role, joined, hosting, fault, audience, typists, fetching } = session;
  const staff = Boolean(view) && STAFF.has(role);
  return {
    id: session.id,
    user,
    view,
    role,
    joined,
    audience,
    typists,
    fetching,
    reactions,
    fault: fault?.message ?? "",
    mayAsk: fault?.code === "forbidden" && !asked,
    asked: fault?.code === "forbidden" && Boolean(asked),
    displaced: live.state.code === TAKEN_OVER,
    cut: live.state.name === "failed",
    elsewhere: hosting === false && view?.host === user && view.state !== "ended",
    staff,
    console: staff && face === "console",
  };
}

/** Gives what the connection panel says of a session's log, as `{name, value, mood}` in order. */
export function factsOf({ state, quality }, session, reconnects) {
  const facts = [
    { name: "State", value: state.message || stateWord(state.name), mood: state.name === "online" ? "good" : "bad" },
    { name: "Quality", value: qualityFact(quality), mood: quality?.quality === "poor" ? "bad" : "" },
    { name: "Reconnects", value: String(reconnects) },
  ];
  return session ? [...facts, ...logFacts(session)] : facts;
}

function logFacts({ timeline, head, complete, joined, pending }) {
  const { position } = timeline;
  const missing = Math.max(0, Math.max(head, timeline.known) - timeline.head);
  return [
    { name: "Epoch of the log", value: position?.epoch ?? "–" },
    { name: "Our position", value: position ? String(position.seq) : "–" },
    { name: "The server's head", value: head ? String(head) : "–" },
    { name: "Complete", ...completeFact(joined, complete, missing) },
    { name: "Waiting to be sent", value: String(pending.length), mood: pending.length ? "bad" : "" },
  ];
}

function completeFact(joined, complete, missing) {
  if (complete) return { value: "yes, nothing is missing", mood: "good" };
  return { value: joined ? `no, ${missing} missing` : "not known while offline", mood: "bad" };
}

function qualityFact(quality) {
  if (!quality) return "–";
  const rtt = quality.rttMs === null ? "" : `, ${Math.round(quality.rttMs)} ms`;
  const loss = quality.loss ? `, ${Math.round(quality.loss * 100)} % lost` : "";
  return quality.quality + rtt + loss;
}

function stateWord(name) {
  return name === "online" ? "Online" : name;
}
