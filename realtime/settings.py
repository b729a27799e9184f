"""Every setting, with its unit, its bounds and its default."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

# Milliseconds of what settings count in days.
DAY_MS: Final = 86_400_000

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
LongSeconds = Annotated[float, Meta(ge=0, le=366 * 86_400)]
Milliseconds = Annotated[int, Meta(ge=1)]
AppId = Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{32})?\Z")]
# White space around it would be part of it, and nobody would see why all notices are refused.
WebhookSecret = Annotated[str, Meta(pattern=r"^[!-~]{0,256}\Z")]

# They travel as `id:secret`.
Credential = Annotated[str, Meta(pattern=r"^[!-9;-~]{0,256}\Z")]
# It names one script in a policy: no spaces, semicolons or commas, which would end its name there.
ScriptUrl = Annotated[
    str,
    Meta(
        pattern=r"^(https://[A-Za-z0-9.-]+|http://(127\.0\.0\.1|\[::1\]|localhost))(:[0-9]{1,5})?/[A-Za-z0-9._~/@-]+\Z"
    ),
]
# It names one origin in a policy, likewise.
SocketUrl = Annotated[
    str, Meta(pattern=r"^(wss?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/[A-Za-z0-9._~/-]*)?\Z")
]
# Credentials go there.
ApiUrl = Annotated[
    str, Meta(pattern=r"^(https://[A-Za-z0-9.-]+|http://(127\.0\.0\.1|\[::1\]|localhost))(:[0-9]{1,5})?\Z")
]


def about(text: str) -> Any:
    """Describe a setting, for the operator's table."""
    return Meta(description=text)


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one server process. `docs/operations.md` lists them from here."""

    database_url: Annotated[str, about("Postgres 18, as a `postgresql://` URL.")] = ""
    redis_url: Annotated[
        str,
        about("Valkey or Redis: one server, Sentinels or a cluster, as a URL ([its forms](#one-redis-or-several))."),
    ] = ""

    host: Annotated[str, about("The address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, about("The WebSocket port. 0 takes a free one.")] = 8000
    http_port: Annotated[Port, about("The port of the HTTP side API. 0 takes a free one.")] = 8001
    share_ports: Annotated[bool, about("Share both ports with other processes that do likewise.")] = False
    dev: Annotated[bool, about("Dev mode: `POST /dev/token` mints tokens for anyone. Never in production.")] = False
    log_format: Annotated[str, Meta(pattern=r"^(json|console)\Z"), about("`json` or `console`.")] = "json"
    log_level: Annotated[str, Meta(pattern=r"^(debug|info|warning|error)\Z"), about("The lowest level logged.")] = (
        "info"
    )
    compression: Annotated[
        bool,
        about(
            "Compress messages for many (permessage-deflate), for clients who agree: a third fewer bytes, more work."
        ),
    ] = False
    websocket_url: Annotated[
        SocketUrl,
        about(
            "Where browsers find the WebSocket, as `wss://HOST/v1/ws`, for the [studio](#the-studio); "
            "else it is at the WebSocket port of the page's host."
        ),
    ] = ""
    origins: Annotated[str, about("Origins from which browsers may connect, separated by commas; `*` allows all.")] = ""

    jwt_secret: Annotated[str, about("The secret of HS256 access tokens, 32 bytes or more.")] = ""
    jwt_jwks_url: Annotated[
        str,
        Meta(pattern=r"^(https://[!-?A-~]+|http://(127\.0\.0\.1|\[::1\]|localhost)[:/][!-?A-~]*)?\Z"),
        about(
            "Where the issuer publishes its [public keys](#keys-of-an-issuer); `https`, but for this machine itself."
        ),
    ] = ""
    jwt_algorithms: Annotated[
        str,
        Meta(pattern=r"^(ES256|RS256)(,(ES256|RS256))*\Z"),
        about("The algorithms of tokens that are signed by such a key."),
    ] = "ES256,RS256"
    jwks_refresh: Annotated[Seconds, about("Seconds between fetches of those keys.")] = 300.0
    jwks_cooldown: Annotated[Seconds, about("Seconds between them at least, whatever keys tokens name.")] = 5.0
    jwks_timeout: Annotated[Seconds, about("Seconds that one such fetch may take.")] = 3.0
    jwks_bytes: Annotated[int, Meta(ge=1024), about("Bytes that it may bring.")] = 65_536
    jwt_issuer: Annotated[str, about("The `iss` that tokens must carry; empty asks for none.")] = ""
    jwt_audience: Annotated[str, about("The `aud` that tokens must carry; empty asks for none.")] = ""
    jwt_role_claim: Annotated[str, about("The path of the claim that holds the role.")] = "app_metadata.role"
    jwt_require_nbf: Annotated[bool, about("Refuse tokens without `nbf`.")] = False
    token_cache: Annotated[
        Count, about("Good tokens that a process remembers, so that who comes back with one costs less.")
    ] = 50_000
    jwt_leeway: Annotated[int, Meta(ge=0, le=300), about("Seconds that clocks may differ.")] = 5

    agora_app_id: Annotated[AppId, about("Agora's app id; empty turns Agora tokens off.")] = ""
    agora_certificate: Annotated[AppId, about("Agora's app certificate.")] = ""
    agora_version: Annotated[str, Meta(pattern=r"^(007|006)\Z"), about("The format of Agora tokens.")] = "007"
    agora_lifetime: Annotated[int, Meta(ge=300, le=86_400), about("Seconds for which an Agora token is good.")] = 3600
    agora_cache: Annotated[Count, about("Agora tokens that a process remembers to share.")] = 20_000
    agora_webhook_secret: Annotated[
        WebhookSecret, about("The secret of Agora's [notices](#notices-from-agora); empty takes none.")
    ] = ""
    agora_customer_id: Annotated[
        Credential, about("The customer id of Agora's account; empty makes no [kicking rules](#agora-tokens).")
    ] = ""
    agora_customer_secret: Annotated[Credential, about("The customer secret of Agora's account.")] = ""
    agora_api: Annotated[ApiUrl, about("Where Agora's RESTful API is; `https`, but for this machine itself.")] = (
        "https://api.agora.io"
    )
    agora_sdk: Annotated[
        ScriptUrl, about("The script of Agora's Web SDK, which the [studio](#the-studio) loads; `https`, likewise.")
    ] = "https://download.agora.io/sdk/release/AgoraRTC_N-4.24.8.js"
    agora_api_timeout: Annotated[Seconds, about("Seconds to wait for an answer of that API.")] = 20.0
    agora_kick_queue: Annotated[Count, about("Changes that may wait to become kicking rules at Agora.")] = 1000
    agora_notice_queue: Annotated[Count, about("Agora's notices that may wait to be taken.")] = 10_000
    agora_notice_ms: Annotated[
        Milliseconds, about("Milliseconds for which Agora's notices are gathered, to be taken together.")
    ] = 50
    agora_notice_hours: Annotated[
        Count, about("Hours for which the ids of Agora's notices are kept, so that a repetition is known.")
    ] = 1

    hello_timeout: Annotated[Seconds, about("Seconds from the connection to a good `hello`.")] = 5.0
    token_warning: Annotated[
        Seconds, about("Seconds before its token ends at which a connection is warned that it will be closed.")
    ] = 60.0
    heartbeat: Annotated[Seconds, about("Seconds between heartbeats to a connection.")] = 20.0
    quality_good_ms: Annotated[
        Milliseconds, about("Milliseconds of a heartbeat's round trip up to which a connection is good.")
    ] = 150
    quality_fair_ms: Annotated[Milliseconds, about("The same up to which it is fair; beyond, it is poor.")] = 400
    pong_timeout: Annotated[
        Seconds, about("Seconds after which a connection is poor that has not answered a heartbeat.")
    ] = 5.0
    silence: Annotated[Seconds, about("Seconds without a sign of life after which a connection is lost.")] = 30.0
    close_timeout: Annotated[Seconds, about("Seconds that a peer has to answer a close.")] = 5.0
    max_frame: Annotated[int, Meta(ge=1024, le=1 << 20), about("Bytes of a client's message at most.")] = 16_384
    max_connections: Annotated[Count, about("Connections of one process at most.")] = 50_000
    user_connections: Annotated[Count, about("Connections of one user to one process at most.")] = 20
    address_connections: Annotated[
        Count, about("Connections of one address, or of 64 bits of an IPv6 one, to one process at most.")
    ] = 5000
    handshake_rate: Annotated[Count, about("WebSocket handshakes that one process takes in a second.")] = 2000
    rate_limits: Annotated[
        bool, about("[Limit](#limits) how often users and addresses may do things. Off for load tests alone.")
    ] = True
    limits_ms: Annotated[Milliseconds, about("Milliseconds between looks at what users did on other nodes.")] = 200
    limits_reload: Annotated[
        float, Meta(gt=0, le=5), about("Seconds between looks at the table of limits, beside being told of changes.")
    ] = 2.0
    limit_buckets: Annotated[
        Count, about("Users' actions, and as many addresses', that are counted at a time; the oldest give way.")
    ] = 100_000
    flood_refusals: Annotated[
        Count, about("Refusals for being too fast within `STAGEWIRE_FLOOD_SECONDS` after which a connection is closed.")
    ] = 50
    flood_seconds: Annotated[Seconds, about("Seconds in which so many refusals, or small frames, are forgotten.")] = (
        10.0
    )
    small_frames: Annotated[
        Count,
        about(
            "Pings, pongs and pieces of messages that a connection may send within `STAGEWIRE_FLOOD_SECONDS`; beyond, "
            "it is closed."
        ),
    ] = 200
    trusted_proxies: Annotated[
        str, about("Addresses and CIDR blocks of the proxies whose `X-Forwarded-For` is believed, separated by commas.")
    ] = ""
    unlimited_addresses: Annotated[
        str, about("Likewise those that are not limited as addresses: your own applications, say.")
    ] = ""
    max_sessions_joined: Annotated[Count, about("Sessions that one connection may have joined.")] = 50
    max_in_flight: Annotated[
        Count, about("Commands of one connection that may await an answer before its reads pause.")
    ] = 64
    max_outgoing: Annotated[
        int, Meta(ge=65_536), about("Bytes that may wait for a slow reader before it is closed.")
    ] = 1 << 20
    send_buffer: Annotated[
        int,
        Meta(ge=16_384, le=4 << 20),
        about("Bytes that the kernel may hold for a connection, before any wait here; twice that by its own count."),
    ] = 131_072
    sample_ms: Annotated[
        Milliseconds, about("Milliseconds from message to message that a reader who is behind gets all the same.")
    ] = 1000
    slow_timeout: Annotated[Seconds, about("Seconds that a reader may be behind without reading.")] = 10.0

    text_characters: Annotated[Count, about("Characters of a chat message at most.")] = 1000
    text_bytes: Annotated[Count, about("Bytes of a chat message at most, in UTF-8.")] = 4000
    title_characters: Annotated[Count, about("Characters of a session's title at most.")] = 200
    members: Annotated[Count, about("Co-hosts and moderators that a session may have.")] = 200
    guests: Annotated[Count, about("Users who may be allowed to come to a private session.")] = 10_000
    requests: Annotated[Count, about("Users who may be asking to be let into a private session.")] = 1000
    followers_ms: Annotated[
        Milliseconds, about("Milliseconds for which a node remembers that somebody follows a host.")
    ] = 30_000
    followers_cache: Annotated[Count, about("Users of whom a node remembers whether they follow a host.")] = 10_000
    slow_turns: Annotated[
        Count, about("Viewers in slow mode whose last message a node remembers while Redis is away.")
    ] = 10_000
    reason_characters: Annotated[Count, about("Characters of the reason for a transition at most.")] = 200

    host_grace: Annotated[
        LongSeconds, about("Seconds without any connection of a host after which a session is interrupted.")
    ] = 10.0
    host_overlap_ms: Annotated[
        int,
        Meta(ge=0),
        about("Milliseconds that a host's new connection waits for the one before it to go."),
    ] = 300
    host_window: Annotated[
        LongSeconds, about("Seconds after which an interrupted session ends. For this and the next four, 0 is never.")
    ] = 120.0
    scheduled_limit: Annotated[LongSeconds, about("Seconds after which a session ends that was never started.")] = (
        7 * 86_400.0
    )
    paused_limit: Annotated[LongSeconds, about("Seconds after which a paused session ends.")] = 1800.0
    longest_limit: Annotated[LongSeconds, about("Seconds after its start at which a session ends.")] = 12 * 3600.0
    empty_limit: Annotated[
        LongSeconds, about("Seconds after which a live session ends that nobody but its host watches.")
    ] = 3600.0
    timer_ms: Annotated[Milliseconds, about("Milliseconds between looks for timers of sessions that are due.")] = 500
    timer_hold_ms: Annotated[
        Milliseconds, about("Milliseconds for which a node has a timer that it has taken, before another one may.")
    ] = 1000
    timer_batch: Annotated[Count, about("Timers that a node takes at a time.")] = 100

    tick_ms: Annotated[Milliseconds, about("Milliseconds that a busy session's events may be gathered at most.")] = 80
    batch_size: Annotated[Count, about("Events of one append at most.")] = 256
    batch_queue: Annotated[Count, about("Events of one process that may wait to be appended.")] = 20_000
    send_timeout: Annotated[Seconds, about("Seconds from a message's arrival to its answer at most.")] = 4.0
    batch_lanes: Annotated[Count, about("Appends of one process that run at the same time.")] = 4
    ring_events: Annotated[Count, about("Newest events of a session kept in memory.")] = 1000
    slice_bytes: Annotated[
        int,
        Meta(ge=0),
        about("Bytes of a session's newest events that are kept as they were encoded for one, for others who join."),
    ] = 1 << 19
    replay_limit: Annotated[Count, about("Events that a join gives at most; beyond, it starts anew.")] = 1000
    hole_wait_ms: Annotated[
        Milliseconds, about("Milliseconds for a missing hint to come late before Postgres is asked.")
    ] = 100
    head_check_ms: Annotated[Milliseconds, about("Milliseconds between checks of the active sessions' heads.")] = 1000
    head_check_alone_ms: Annotated[Milliseconds, about("The same while Redis can't bring hints.")] = 200
    positions_ms: Annotated[Milliseconds, about("Milliseconds between writes of the users' positions to Redis.")] = 1000
    positions_days: Annotated[Count, about("Days for which the positions in a session are kept.")] = 7
    linger: Annotated[
        Seconds, about("Seconds that a session or an inbox stays in memory after its last connection.")
    ] = 30.0

    lease_ms: Annotated[Milliseconds, about("Milliseconds for which a node's part of an audience counts.")] = 12_000
    lease_beat_ms: Annotated[Milliseconds, about("Milliseconds between renewals of the leases.")] = 3000
    audience_ms: Annotated[Milliseconds, about("Milliseconds between audience signals of one session.")] = 1000
    audience_list: Annotated[
        int, Meta(ge=1, le=1000), about("Users of a session up to which it is told who is there, and who types.")
    ] = 100
    leave_grace: Annotated[Seconds, about("Seconds after which it is told by name who has left.")] = 5.0
    playback_timeout: Annotated[Seconds, about("Seconds for which a report of `playback` counts as watching.")] = 30.0
    watch_beat: Annotated[Seconds, about("Seconds between writes of watch times to Postgres.")] = 10.0
    watch_notes: Annotated[
        Count, about("Users, and sessions, whose watch times may wait for Postgres; the oldest give way.")
    ] = 200_000
    typing_ms: Annotated[Milliseconds, about("Milliseconds between typing signals of one session.")] = 1000
    typing_timeout: Annotated[Seconds, about("Seconds for which a user counts as typing who said so.")] = 5.0

    reactions_ms: Annotated[Milliseconds, about("Milliseconds between bursts of reactions of one session.")] = 500
    reaction_kinds: Annotated[Count, about("Kinds of reaction that a session may have at a time.")] = 32
    reactions_save_ms: Annotated[
        Milliseconds, about("Milliseconds between writes of the counted reactions to Postgres.")
    ] = 2000
    reaction_backlog: Annotated[
        Count, about("Kinds of reaction, over all sessions, of which counts may wait to be written to Postgres.")
    ] = 10_000

    inbox_entries: Annotated[
        Count, about("Entries of a user's inbox that wait to be acknowledged; the oldest give way.")
    ] = 1000
    inbox_days: Annotated[Count, about("Days for which an entry of an inbox, and its key, is kept.")] = 7
    inbox_page: Annotated[Count, about("Entries in one `inbox` push at most.")] = 50
    inbox_kept: Annotated[
        int, Meta(ge=0), about("Users who left for whom a node knows for a while how far their inbox goes.")
    ] = 50_000
    inbox_lanes: Annotated[Count, about("Appends to inboxes by one process that run at the same time.")] = 2
    inbox_backlog: Annotated[Count, about("Changes of inboxes that may wait to be copied to Redis.")] = 10_000
    mention_queue: Annotated[
        Count, about("Messages that may wait to be searched for mentions; the oldest give way.")
    ] = 1000

    freeze_check_ms: Annotated[
        Milliseconds, about("Milliseconds between looks for users who were frozen by other nodes.")
    ] = 500
    audit_queue: Annotated[Count, about("Notes for the audit log that may wait for Postgres.")] = 10_000

    database_connections: Annotated[Count, about("Connections of one process to Postgres.")] = 8
    database_timeout: Annotated[
        Seconds, about("Seconds to wait for Postgres, for a connection and its answer together.")
    ] = 4.0
    database_failures: Annotated[
        Count, about("Failures of Postgres in a row after which it counts as away, and is left alone.")
    ] = 3
    database_pause: Annotated[Seconds, about("Seconds between attempts to reach a Postgres that is away.")] = 1.0
    allow_unsafe_postgres: Annotated[
        bool, about("Use a Postgres that may lose what it has acknowledged, and warn of it.")
    ] = False
    redis_connections: Annotated[Count, about("Connections of one process to each Redis server at most.")] = 16
    redis_timeout: Annotated[Seconds, about("Seconds to wait for Redis.")] = 2.0
    hint_backlog: Annotated[Count, about("Hints that may wait to be published at each Redis server.")] = 10_000
    partition_days: Annotated[Count, about("Days of sessions in one partition of the log.")] = 7
    searches: Annotated[Count, about("Searches of one process that run at the same time.")] = 2
    search_wait: Annotated[Seconds, about("Seconds that a search waits for its turn.")] = 2.0
    words_tail: Annotated[
        Count, about("Events of a session, not indexed for the search yet, from which on they are at once.")
    ] = 500
    words_beat: Annotated[Seconds, about("Seconds between times at which all other events are indexed.")] = 60.0
    words_sessions: Annotated[
        Count, about("Sessions of which a process knows that events are to be indexed; the oldest give way.")
    ] = 20_000
    retention_days: Annotated[
        int, Meta(ge=0), about("Days after a session's end for which its log is kept. 0 keeps it for ever.")
    ] = 0
    retention_beat: Annotated[Seconds, about("Seconds between looks for partitions of the log to add or to drop.")] = (
        3600.0
    )
    retention_timeout: Annotated[Seconds, about("Seconds that dropping a partition of the log may take.")] = 60.0
    http_body: Annotated[int, Meta(ge=1024), about("Bytes of a request's body at most.")] = 65_536
    http_timeout: Annotated[
        Seconds, about("Seconds for a request to arrive, for its body, and for its response to be read.")
    ] = 10.0
    http_connections: Annotated[Count, about("Connections of one process to the side API at most.")] = 2000
    drain_rate: Annotated[
        float, Meta(ge=0.1), about("Connections that each process sends away in a second when told to stop.")
    ] = 500.0
    drain_timeout: Annotated[
        Seconds, about("Seconds to send connections away when told to stop; the rest goes all at once then.")
    ] = 20.0
    roll_timeout: Annotated[
        Seconds, about("Seconds that a worker has to get ready which is to replace another one.")
    ] = 30.0
    shutdown_timeout: Annotated[Seconds, about("Seconds to finish after that what was begun.")] = 10.0
