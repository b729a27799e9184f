/** Reactions: how many there were, and how many of a burst to show. Pure. */

/** What can be sent from this page; other kinds are other apps' business. */
export const KINDS = ["heart", "clap", "fire", "laugh", "wow"];

const MOST_OF_A_BURST = 12;

/** Gives the totals after a burst of `counts`. */
export function totalsAfter(totals, counts) {
  const next = { ...totals };
  for (const kind of KINDS) if (counts[kind]) next[kind] = (next[kind] ?? 0) + counts[kind];
  return next;
}

/** Gives the kinds of the marks that stand for a burst, where there is room for so many: each kind in its turn. */
export function marksOf(counts, room) {
  const left = new Map(KINDS.map((kind) => [kind, counts[kind] ?? 0]));
  const most = Math.min(room, MOST_OF_A_BURST);
  const marks = [];
  for (let found = true; found && marks.length < most; ) {
    found = false;
    for (const [kind, number] of left) {
      if (!number || marks.length === most) continue;
      left.set(kind, number - 1);
      marks.push(kind);
      found = true;
    }
  }
  return marks;
}

/** Gives a number in few characters: 999, 1.2k, 34k. */
export function short(number) {
  if (number < 1000) return String(number);
  const thousands = number / 1000;
  return `${thousands < 10 ? Math.floor(thousands * 10) / 10 : Math.floor(thousands)}k`;
}
