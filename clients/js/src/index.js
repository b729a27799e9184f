/** Stagewire's client: live sessions and chat that survive a bad network. */

export { StagewireError } from "./errors.js";
export { Delivery } from "./delivery.js";
export { Session } from "./session.js";
export { Stagewire } from "./live.js";
export { IndexedDbStorage, MemoryStorage } from "./storage.js";
export { Timeline } from "./timeline.js";
