"""Every metric. Names and units follow Prometheus's conventions; labels come from fixed sets only.

The hot path counts in batches, or in tallies, so that a metric never costs per delivery, and little per message.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from realtime.domain.limits import Action
from realtime.protocol.codes import Close, Code
from realtime.telemetry.tally import Tally

disable_created_metrics()  # type: ignore[no-untyped-call] # prometheus-client leaves it untyped

_FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_ROUND_TRIPS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.4, 0.7, 1.0, 2.5, 5.0, 10.0)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)

CONNECTIONS: Final = Gauge("stagewire_connections", "Open connections.", ["format"], multiprocess_mode="livesum")
SESSIONS: Final = Gauge("stagewire_sessions_active", "Sessions held in memory.", multiprocess_mode="livesum")
MEMBERS: Final = Gauge(
    "stagewire_audience_connections", "Joined sessions, over all connections.", multiprocess_mode="livesum"
)
WATCHING: Final = Gauge(
    "stagewire_audience_watching", "Users who watch, over all sessions.", multiprocess_mode="livesum"
)
AUDIENCE_WRITE: Final = Histogram(
    "stagewire_audience_write_seconds", "To write what has changed of the audiences to Redis.", buckets=_FAST
)
AUDIENCE_REBUILT: Final = Counter(
    "stagewire_audience_rebuilt", "Parts of audiences told anew because Redis did not have them."
)
WATCH_WRITTEN: Final = Counter("stagewire_watch_times_written", "Watch times of users added in Postgres.")
WATCH_LOST: Final = Counter("stagewire_watch_times_lost", "Watch times of users that could not be kept or stored.")
WATCH_WAITING: Final = Gauge(
    "stagewire_watch_times_waiting", "Watch times of users that wait to be written.", multiprocess_mode="livesum"
)
HANDSHAKES: Final = Counter("stagewire_handshakes", "WebSocket handshakes, by HTTP status.", ["status"])
JOINS: Final = Counter("stagewire_joins", "Joins, by where the missed events came from.", ["source"])
COMMANDS: Final = Tally(Counter("stagewire_commands", "Commands, by type and outcome.", ["type", "outcome"]))
REFUSALS: Final = Tally(Counter("stagewire_refusals", "Refused commands and requests, by code.", ["code"]))
LIMITED: Final = Tally(
    Counter("stagewire_limited", "What users and addresses were refused because it was too often.", ["action"])
)
LIMIT_BUCKETS: Final = Gauge(
    "stagewire_limit_buckets", "Users' and addresses' actions that are being counted.", multiprocess_mode="livesum"
)
CLOSES: Final = Counter("stagewire_closes", "Closed connections, by close code.", ["code"])

APPENDED: Final = Tally(
    Counter("stagewire_events_appended", "Events and entries appended to logs and inboxes by this node.", ["outcome"])
)
BATCH: Final = Histogram("stagewire_batch_events", "Events in one append.", buckets=_SIZES)
COMMIT: Final = Histogram("stagewire_commit_seconds", "From sending a batch to its commit.", buckets=_FAST)
QUEUED: Final = Gauge("stagewire_batch_queue_events", "Events that wait to be appended.", multiprocess_mode="livesum")
WORDS_BEHIND: Final = Gauge(
    "stagewire_words_behind",
    "Events that are not indexed for the search yet, as far as is known.",
    multiprocess_mode="livesum",
)
WORDS_INDEXED: Final = Counter("stagewire_words_indexed", "Events that this node has indexed for the search.")
HUB_WAIT: Final = Histogram(
    "stagewire_commit_to_socket_seconds",
    "From the commit (or the hint's arrival) to the write, of the first event of each flush.",
    buckets=_FAST,
)
DELIVERIES: Final = Tally(Counter("stagewire_deliveries", "Events and signals written to connections."))
BYTES_OUT: Final = Tally(Counter("stagewire_sent_bytes", "Bytes of events and signals written to connections."))
SKIPPED: Final = Tally(
    Counter("stagewire_skipped", "Messages and signals that readers who are behind did not get.", ["lane"])
)
BYTES_IN: Final = Tally(Counter("stagewire_received_bytes", "Bytes received from connections."))

RTT: Final = Histogram("stagewire_rtt_seconds", "Round trips of heartbeats.", buckets=_ROUND_TRIPS)
HINTS: Final = Counter("stagewire_hints", "Hints, sent, received or dropped.", ["direction"])
HINTS_LOST: Final = Counter("stagewire_hints_lost_events", "Events that no hint brought, read from Postgres instead.")
HOLES: Final = Counter("stagewire_holes", "Holes in a log's hints, by how they closed.", ["healed_by"])
HEAL: Final = Histogram("stagewire_heal_seconds", "From noticing a hole to closing it.", buckets=_FAST)
INBOX_ENTRIES: Final = Counter("stagewire_inbox_entries", "Entries appended to inboxes by this node.", ["kind"])
INBOX_DELIVERIES: Final = Counter("stagewire_inbox_deliveries", "Entries of inboxes written to connections.")
INBOX_READS: Final = Counter("stagewire_inbox_reads", "Pages of inboxes read, by where from.", ["source"])
INBOX_REBUILT: Final = Counter("stagewire_inbox_rebuilt", "Copies of inboxes written anew from Postgres.")
INBOX_HEALED: Final = Counter("stagewire_inbox_healed", "Changes of inboxes that no hint brought, found in Postgres.")
MENTIONS_LOST: Final = Counter("stagewire_mentions_lost", "Messages that were never searched for mentions.")
REACTIONS: Final = Counter("stagewire_reactions", "Reactions counted by this node.")
REACTIONS_LOST: Final = Counter("stagewire_reactions_lost", "Reactions that will be missing in the totals.")
AUDIT_LOST: Final = Counter("stagewire_audit_lost", "Acts that will be missing in the audit log.")
KEY_FETCHES: Final = Counter("stagewire_key_fetches", "Fetches of the keys of access tokens.", ["outcome"])
TOKENS: Final = Histogram("stagewire_agora_token_seconds", "To issue an Agora token.", buckets=_FAST)
TOKENS_GIVEN: Final = Counter("stagewire_agora_tokens", "Agora tokens given, by whether they were built.", ["source"])
TOKENS_SENT: Final = Counter("stagewire_agora_tokens_sent", "Agora tokens sent unasked, by why.", ["why"])
TOKENS_HELD: Final = Gauge(
    "stagewire_agora_tokens_held", "Agora tokens that are renewed unasked.", multiprocess_mode="livesum"
)
KICKS: Final = Counter("stagewire_agora_kicks", "Kicking rules at Agora, by what became of them.", ["outcome"])
NOTICES: Final = Counter("stagewire_agora_notices", "Notices from Agora, by what became of them.", ["outcome"])
POOL_WAIT: Final = Histogram("stagewire_postgres_pool_wait_seconds", "Waiting for a connection.", buckets=_FAST)
AWAY: Final = Gauge(
    "stagewire_postgres_away", "Processes that leave Postgres alone because it failed.", multiprocess_mode="livesum"
)
SPARED: Final = Counter("stagewire_postgres_spared", "Uses of Postgres that were refused because it is away.")
TRANSITIONS: Final = Counter(
    "stagewire_transitions",
    "Transitions of sessions made by this node: the event, and why the server made it, or `user`.",
    ["kind", "reason"],
)
TIMERS: Final = Histogram(
    "stagewire_timer_late_seconds", "How late timers of sessions were settled, by kind.", ["kind"], buckets=_FAST
)
HOSTS: Final = Gauge("stagewire_hosts", "Connections that host sessions.", multiprocess_mode="livesum")
PARTITIONS: Final = Counter("stagewire_partitions", "Partitions of the log, added or dropped by this node.", ["change"])
ROLLS: Final = Counter(
    "stagewire_rolls", "Rounds in which the workers were replaced, done or stopped half-way.", ["outcome"]
)
REQUESTS: Final = Histogram("stagewire_http_request_seconds", "HTTP requests.", ["route", "status"], buckets=_FAST)
LOOP_LAG: Final = Histogram("stagewire_loop_lag_seconds", "How late the event loop runs a timer.", buckets=_FAST)

# A series that begins at 1 hides its first increase.
for _code in Code:
    REFUSALS.count(_code, by=0)
for _action in Action:
    LIMITED.count(_action, by=0)
for _close in Close:
    CLOSES.labels(str(int(_close)))
for _outcome in ("made", "lifted", "failed", "dropped"):
    KICKS.labels(_outcome)
for _source in ("built", "shared"):
    TOKENS_GIVEN.labels(_source)
for _why in ("time", "role"):
    TOKENS_SENT.labels(_why)
for _outcome in ("applied", "duplicate", "stale", "ignored", "refused"):
    NOTICES.labels(_outcome)
for _outcome in ("done", "stopped"):
    ROLLS.labels(_outcome)
for _outcome in ("done", "failed"):
    KEY_FETCHES.labels(_outcome)
for _change in ("added", "dropped"):
    PARTITIONS.labels(_change)
