/**
 * The shapes that modules share. Nothing imports this file when the client runs.
 *
 * Times of the wire (`at`, `sent_at`, `now`) are milliseconds since the epoch, UTC; those of a clock's
 * `now` are milliseconds of any beginning, and never go back.
 *
 * @typedef {{type: string, [field: string]: any}} Message  A message of the wire.
 * @typedef {{epoch: string, seq: number}} Position  How far a reader has got in a log.
 * @typedef {{seq: number, at: number, kind: string, by: string, key?: string, media_ms?: number, body: any}} LogEvent
 * @typedef {{connections?: number, users?: number, watching?: number, chatters?: number}} Numbers
 *
 * @typedef {object} ChatMessage  A message as all events about it have made it.
 * @property {number} seq  Its place in the log.
 * @property {number} at  When it was written; `(at, seq)` is the order of display.
 * @property {string} by
 * @property {string} text  Empty where it was deleted.
 * @property {{at: number, seq: number} | null} edited  The stamp of the edit that made the text.
 * @property {boolean} deleted
 * @property {number} [replyTo]  The `seq` of the message that it answers.
 * @property {string} [key]  The sender's key.
 *
 * @typedef {object} Snapshot  A session as the server describes it; see "Joining and resuming" in the protocol.
 * @property {string} id
 * @property {string} host
 * @property {string} title
 * @property {"scheduled" | "live" | "paused" | "interrupted" | "ended"} state
 * @property {number} version
 * @property {number} created_at
 * @property {number} since
 * @property {{ms: number, at: number, running: boolean}} media
 * @property {number} [started_at]
 * @property {number} [ended_at]
 * @property {number} [ends_at]
 * @property {string} [reason]
 * @property {Record<string, any>} settings
 * @property {Record<string, string>} [members]
 *
 * @typedef {"connecting" | "online" | "degraded" | "offline" | "failed"} StateName
 * @typedef {object} State
 * @property {StateName} name
 * @property {string} reason  A word for programs; empty while online.
 * @property {string} message  The reason as a sentence for people.
 * @property {number | null} retryAt  When the next attempt begins, by `Date.now()`, while offline.
 * @property {number | null} code  The code of the close before it.
 *
 * @typedef {"good" | "fair" | "poor"} Grade
 * @typedef {{quality: Grade, rttMs: number | null, loss: number}} Quality  `loss` is a share, from 0 to 1.
 *
 * @typedef {object} Notice  A failure that lasts.
 * @property {"connection" | "session" | "storage"} about
 * @property {string} reason
 * @property {string} message
 * @property {boolean} final  Whether nothing more happens by itself.
 * @property {string} [session]
 * @property {() => void} retry
 *
 * @typedef {"waiting" | "sending" | "held" | "acked" | "failed" | "dropped"} DeliveryState
 * @typedef {object} Entry  Something to be sent until it is answered.
 * @property {string} key
 * @property {number} order  Entries of a lane are sent by it, ascending.
 * @property {string} lane  What must stay in order among itself.
 * @property {Message} command
 * @property {DeliveryState} status
 * @property {boolean} [refused]  Whether it was held back before, since it was written or sent again by hand.
 * @property {number} due  Held back until then, by the clock of the page, which never goes back.
 * @property {number} until  The same by `Date.now()`, as it was then: for whoever looks at it.
 * @property {{code: string, message: string} | null} error
 * @property {number} [seq]
 * @property {number} [at]
 *
 * @typedef {object} Storage  Where entries outlive the page. `owner` names the server and the user.
 * @property {(owner: string) => Promise<Entry[]>} load
 * @property {(owner: string, entry: Entry) => Promise<void>} put  Adds it, or takes the place of the one with its key.
 * @property {(owner: string, key: string) => Promise<void>} remove
 *
 * @typedef {object} Clock
 * @property {() => number} wall  The time of day: milliseconds since the epoch.
 * @property {() => number} now  For durations, in milliseconds.
 * @property {(ms: number, act: () => void) => () => void} after  Does something later; gives what calls it off.
 *
 * @typedef {object} Surroundings  What a browser tells; elsewhere it tells nothing.
 * @property {() => boolean} online
 * @property {(type: "online" | "offline" | "visible", listener: () => void) => () => void} on
 *
 * @typedef {object} InboxEntry  Something that is meant for this user alone.
 * @property {number} id
 * @property {number} at
 * @property {string} kind
 * @property {string} by
 * @property {string} key
 * @property {any} body
 *
 * @typedef {import("./delivery.js").Delivery} Delivery
 * @typedef {{
 *   state: [State], quality: [Quality], notice: [Notice | null], welcome: [Message], drain: [Message],
 *   inbox: [InboxEntry], "inbox.lost": [number], "agora.token": [Message], pending: [Delivery],
 * }} StagewireEvents  What listeners are given, by type; see `Stagewire`.
 * @typedef {{
 *   change: [], joined: [{complete: boolean}], reset: [], fault: [import("./errors.js").StagewireError],
 *   event: [LogEvent], chat: [ChatMessage], edited: [ChatMessage], deleted: [ChatMessage], state: [Snapshot],
 *   audience: [import("./audience.js").Audience], typing: [{users: string[], count: number}],
 *   reactions: [Record<string, number>], pending: [Delivery], "agora.token": [Message],
 * }} SessionEvents  What listeners are given, by type; see `Session`.
 *
 * @typedef {{url: string, protocol: string}} Dialled
 * @typedef {{readyState: number, bufferedAmount?: number, send(data: string): void, close(code?: number): void,
 *   onopen: any, onmessage: any, onclose: any, onerror: any}} Socket
 *
 * @typedef {object} Options
 * @property {(asked: {stale: boolean}) => string | Promise<string>} token  Gives an access token; a fresh one where
 *   the last was `stale`. May throw: an error whose `final` is true ends the attempts.
 * @property {string} [user]  Who that is, where it is known before the server says so: then what waits in the
 *   storage is there before the first connection.
 * @property {string} [device]  Names this device, the same whenever it comes back.
 * @property {string} [client]  The application's name and version, for the operator's log.
 * @property {new (url: string, protocol: string) => Socket} [WebSocket]
 * @property {Storage} [storage]
 * @property {Clock} [clock]
 * @property {() => number} [random]  From 0 up to 1.
 * @property {() => string} [newKey]  A random UUID.
 * @property {Surroundings} [surroundings]
 */

export {};
