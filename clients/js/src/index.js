/** Stagewire's client: live sessions and chat that survive a bad network. */

export { StagewireError } from "./errors.js";
export { Delivery } from "./delivery.js";
export { Session } from "./session.js";
export { Stagewire } from "./live.js";
export { IndexedDbStorage, MemoryStorage } from "./storage.js";
export { Timeline } from "./timeline.js";

/**
 * @typedef {import("./audience.js").Audience} Audience
 * @typedef {import("./types.js").ChatMessage} ChatMessage
 * @typedef {import("./types.js").Entry} Entry
 * @typedef {import("./types.js").InboxEntry} InboxEntry
 * @typedef {import("./types.js").LogEvent} LogEvent
 * @typedef {import("./types.js").Notice} Notice
 * @typedef {import("./types.js").Options} Options
 * @typedef {import("./types.js").Quality} Quality
 * @typedef {import("./session.js").SessionOptions} SessionOptions
 * @typedef {import("./types.js").Snapshot} Snapshot
 * @typedef {import("./types.js").State} State
 * @typedef {import("./types.js").Storage} Storage
 */
