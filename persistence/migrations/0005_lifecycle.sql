-- The lifecycle: interruptions, time limits with due times, the devices of hosts, and the session's clock.
-- Functions here lock in one order: log_heads, sessions, hosts, timers.

ALTER TABLE sessions
    ADD COLUMN key      uuid,
    -- When the state began, why, and, while the session is interrupted, which state that was before.
    ADD COLUMN since    bigint NOT NULL DEFAULT 0,
    ADD COLUMN reason   text,
    ADD COLUMN former   text,
    -- What the session's clock showed when the state began.
    ADD COLUMN media_ms bigint NOT NULL DEFAULT 0,
    -- The connection from which the host runs the session, and how often that has changed.
    ADD COLUMN hosting  text,
    ADD COLUMN term     integer NOT NULL DEFAULT 0,
    -- Milliseconds by kind of timer; what is not there, or 0, is not limited.
    ADD COLUMN limits   jsonb NOT NULL DEFAULT '{"grace": 10000, "away": 120000}',
    ADD CONSTRAINT one_creation UNIQUE (host, key);
UPDATE sessions SET since = coalesce(ended_at, started_at, created_at);

-- The times that a session has spent in one state each; a span ends where the next one begins.
CREATE TABLE spans (
    session  uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    version  integer NOT NULL,
    state    text NOT NULL,
    began    bigint NOT NULL,
    media_ms bigint NOT NULL,
    PRIMARY KEY (session, version)
);
-- Of the sessions that are older than this table, only the log knows the spans.
INSERT INTO spans
SELECT session, (body->>'version')::integer, body->>'state', at,
       coalesce(sum(CASE WHEN before = 'live' THEN at - began END) OVER (PARTITION BY session ORDER BY seq), 0)
  FROM (SELECT *, lag(body->>'state') OVER earlier AS before, lag(at) OVER earlier AS began
          FROM events WHERE kind LIKE 'session.%'
        WINDOW earlier AS (PARTITION BY session ORDER BY seq)) e;
UPDATE sessions s SET media_ms = p.media_ms, since = p.began
  FROM (SELECT DISTINCT ON (session) * FROM spans ORDER BY session, version DESC) p WHERE p.session = s.id;

-- Co-hosts and moderators, as the host has named them.
CREATE TABLE members (
    session uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    member  text NOT NULL,
    role    text NOT NULL CHECK (role IN ('cohost', 'moderator')),
    PRIMARY KEY (session, member)
);

-- Whether the presence of a user keeps a session going.
CREATE FUNCTION is_host(_session uuid, _member text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM sessions WHERE id = _session AND host = _member)
           OR EXISTS (SELECT FROM members WHERE session = _session AND member = _member AND role = 'cohost')
$$;

-- The connections of hosts. One counts until its lease ends, which its node renews. What was lost in an orderly way
-- ends at that moment.
CREATE TABLE hosts (
    session    uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    connection text NOT NULL,
    node       text NOT NULL,
    member     text NOT NULL,
    device     text,
    until      bigint NOT NULL,
    PRIMARY KEY (session, connection)
);

-- What is to happen to sessions at a time, unless something happens before. A node that takes what is due has it
-- until `held_until`; `term` counts the takers, and the last one alone may act.
CREATE TABLE timers (
    session    uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    kind       text NOT NULL,
    due        bigint NOT NULL,
    term       bigint NOT NULL DEFAULT 0,
    held_until bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (session, kind)
);
CREATE INDEX timers_by_due ON timers (due);

-- When a node was last heard of here.
CREATE TABLE pulse (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    at  bigint NOT NULL
);
INSERT INTO pulse (at) VALUES (0);

-- Sets the timers of a session to those given; each has its own moment from which it counts.
CREATE FUNCTION arm_timers(_session uuid, _kinds text[]) RETURNS void LANGUAGE sql AS $$
    DELETE FROM timers WHERE session = _session AND kind <> ALL (_kinds);
    INSERT INTO timers (session, kind, due)
    SELECT _session, kind, base + "limit"
      FROM (SELECT kind, (s.limits->>CASE kind WHEN 'lost' THEN 'grace' ELSE kind END)::bigint AS "limit",
                   CASE kind WHEN 'scheduled' THEN s.created_at
                             WHEN 'longest' THEN s.started_at
                             WHEN 'lost' THEN (SELECT max(until) FROM hosts WHERE session = _session)
                             WHEN 'empty' THEN now_ms()
                             ELSE s.since END AS base
              FROM sessions s, unnest(_kinds) kind WHERE s.id = _session) timer
     WHERE base IS NOT NULL AND ("limit" > 0 OR kind = 'lost' AND "limit" = 0)
    ON CONFLICT (session, kind) DO UPDATE SET due = excluded.due, held_until = 0;
$$;

-- When the session ends at the latest, as far as that is certain by now.
CREATE FUNCTION ends_at(_session uuid) RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT min(due) FROM timers WHERE session = _session AND kind IN ('scheduled', 'paused', 'away', 'longest') $$;

DROP FUNCTION create_session;
-- Creates a session, or gives the one that this host has created with this key.
CREATE FUNCTION create_session(_host text, _title text, _key uuid, _limits jsonb, _timers text[])
RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    _id uuid;
    _at bigint := now_ms();
BEGIN
    INSERT INTO sessions (host, title, key, limits, created_at, since) VALUES (_host, _title, _key, _limits, _at, _at)
    ON CONFLICT (host, key) DO NOTHING RETURNING id INTO _id;
    IF NOT FOUND THEN
        RETURN (SELECT id FROM sessions WHERE host = _host AND key = _key);
    END IF;
    INSERT INTO log_heads (session, seq, at) VALUES (_id, 1, _at);
    INSERT INTO spans VALUES (_id, 1, 'scheduled', _at, 0);
    PERFORM arm_timers(_id, _timers);
    INSERT INTO events (session, seq, at, kind, sender, body)
    VALUES (_id, 1, _at, 'session.created', _host,
            jsonb_strip_nulls(jsonb_build_object('state', 'scheduled', 'version', 1, 'ends_at', ends_at(_id))));
    RETURN _id;
END $$;

-- Forgets the connections of hosts whose leases have ended by `_until`, or all. In the order in which leases are
-- renewed, so that neither waits for the other in a circle.
CREATE FUNCTION forget_hosts(_session uuid, _until bigint) RETURNS void LANGUAGE sql AS $$
    DELETE FROM hosts h
     USING (SELECT connection FROM hosts
             WHERE session = _session AND (_until IS NULL OR until <= _until)
             ORDER BY connection FOR UPDATE) gone
     WHERE h.session = _session AND h.connection = gone.connection;
$$;

-- Moves a session of version `_version` to another state, as an event of its log. Outcomes:
--   new        it is done: the event
--   repeat     the sender has used this key for the same: the event of then
--   conflict   the sender has used this key for something else
--   stale      the session has another version by now
--   displaced  another device hosts the session: `_term` is over (nothing where `_term` is null)
--   fenced     the timer `_timer` is not due any more, or another node has taken it since
--   missing    there is no such session
DROP FUNCTION move_session;
CREATE FUNCTION move_session(
    _session uuid, _version integer, _to text, _kind text, _by text, _key uuid, _reason text, _term integer,
    _timers text[], _timer text, _timer_term bigint
) RETURNS TABLE (
    outcome text, epoch text, seq bigint, at bigint, kind text, sender text, key uuid, body jsonb
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _head    log_heads;
    _was     sessions;
    _at      bigint;
    _media   bigint;
    _same    boolean;
BEGIN
    SELECT * INTO _head FROM log_heads h WHERE h.session = _session FOR UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'missing', NULL, NULL::bigint, NULL::bigint, NULL, NULL, NULL::uuid, NULL::jsonb;
        RETURN;
    END IF;
    IF _key IS NOT NULL THEN
        RETURN QUERY SELECT CASE WHEN e.kind = _kind THEN 'repeat' ELSE 'conflict' END,
                            _head.epoch, e.seq, e.at, e.kind, e.sender, e.key, e.body
          FROM events e WHERE e.session = _session AND e.sender = _by AND e.key = _key;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    SELECT * INTO _was FROM sessions WHERE id = _session FOR NO KEY UPDATE;
    outcome := CASE
        WHEN _was.version <> _version THEN 'stale'
        WHEN _term <> _was.term THEN 'displaced'
        WHEN _timer IS NOT NULL AND NOT EXISTS (
            SELECT FROM timers t
             WHERE t.session = _session AND t.kind = _timer AND t.term = _timer_term AND t.due <= now_ms()
               FOR UPDATE) THEN 'fenced'
        END;
    IF outcome IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;
    _at := greatest(_head.at, now_ms());
    _media := _was.media_ms + CASE WHEN _was.state = 'live' THEN _at - _was.since ELSE 0 END;
    UPDATE sessions
       SET state = _to, version = version + 1, since = _at, media_ms = _media, reason = _reason,
           former = CASE WHEN _to = 'interrupted' THEN _was.state END,
           started_at = CASE WHEN _kind = 'session.started' THEN _at ELSE started_at END,
           ended_at = CASE WHEN _kind = 'session.ended' THEN _at ELSE ended_at END
     WHERE id = _session;
    INSERT INTO spans VALUES (_session, _version + 1, _to, _at, _media);
    -- Who begins or goes on without a host being connected is not to be interrupted for hosts of earlier times. But a host
    -- who does that over a connection, or by having come back, was there just now, and may be lost already.
    PERFORM forget_hosts(_session, CASE
        WHEN _to = 'ended' THEN NULL
        WHEN _term IS NOT NULL OR _reason = 'host_returned' THEN _at - (_was.limits->>'grace')::bigint
        ELSE _at END);
    PERFORM arm_timers(_session, _timers);
    UPDATE log_heads SET seq = _head.seq + 1, at = _at, open = _to <> 'ended' WHERE session = _session;
    RETURN QUERY
    INSERT INTO events AS e (session, seq, at, kind, sender, key, body)
    VALUES (_session, _head.seq + 1, _at, _kind, _by, _key, jsonb_strip_nulls(jsonb_build_object(
            'state', _to, 'version', _version + 1, 'reason', _reason, 'ends_at', ends_at(_session))))
    RETURNING 'new', _head.epoch, e.seq, e.at, e.kind, e.sender, e.key, e.body;
END $$;

-- Sets the timer of sessions whose hosts may be lost: the grace begins where the last lease ends.
CREATE FUNCTION arm_lost(_sessions uuid[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO timers AS t (session, kind, due)
    SELECT s.id, 'lost', max(h.until) + (s.limits->>'grace')::bigint
      FROM sessions s JOIN hosts h ON h.session = s.id
     WHERE s.id = ANY (_sessions) AND s.state IN ('live', 'paused')
     GROUP BY s.id ORDER BY s.id
    ON CONFLICT (session, kind) DO UPDATE SET due = excluded.due, held_until = 0;
$$;

-- Counts a connection among those that host a session; an owner's may also be the one that runs it: if none does,
-- if one of the same device does, or if `_take`. Where that takes it from another that is still there, it is an event
-- of the log. Gives nothing where there is no such session, or it has ended.
CREATE FUNCTION host_session(
    _session uuid, _connection text, _node text, _member text, _device text, _owner boolean, _take boolean,
    _lease bigint, _key uuid
) RETURNS TABLE (
    state text, hosting boolean, term integer, epoch text,
    seq bigint, at bigint, kind text, sender text, key uuid, body jsonb
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _head log_heads;
    _was  sessions;
    _now  bigint;
    _old  hosts;
BEGIN
    SELECT * INTO _head FROM log_heads h WHERE h.session = _session AND h.open FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT * INTO _was FROM sessions WHERE id = _session FOR NO KEY UPDATE;
    _now := now_ms();
    PERFORM forget_hosts(_session, _now);
    INSERT INTO hosts VALUES (_session, _connection, _node, _member, _device, _now + _lease)
    ON CONFLICT (session, connection) DO UPDATE SET until = excluded.until;
    PERFORM arm_lost(ARRAY[_session]);
    state := _was.state;
    term := _was.term;
    hosting := _owner AND _was.hosting = _connection;
    epoch := _head.epoch;
    SELECT * INTO _old FROM hosts h WHERE h.session = _session AND h.connection = _was.hosting;
    IF NOT _owner OR hosting OR (
        _old.connection IS NOT NULL AND NOT _take AND _old.device IS DISTINCT FROM coalesce(_device, '')
    ) THEN
        RETURN NEXT;
        RETURN;
    END IF;
    hosting := true;
    term := term + 1;
    UPDATE sessions SET hosting = _connection, term = term + 1 WHERE id = _session;
    IF _old.connection IS NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;
    UPDATE sessions SET version = version + 1 WHERE id = _session;
    _now := greatest(_head.at, _now);
    UPDATE log_heads SET seq = _head.seq + 1, at = _now WHERE session = _session;
    RETURN QUERY
    INSERT INTO events AS e (session, seq, at, kind, sender, key, body)
    VALUES (_session, _head.seq + 1, _now, 'session.taken_over', _member, _key, jsonb_strip_nulls(jsonb_build_object(
            'state', _was.state, 'version', _was.version + 1, 'reason', _was.reason, 'ends_at', ends_at(_session),
            'term', term)))
    RETURNING state, hosting, term, epoch, e.seq, e.at, e.kind, e.sender, e.key, e.body;
END $$;

-- A host's connection is lost.
CREATE FUNCTION unhost_session(_session uuid, _connection text) RETURNS void LANGUAGE sql AS $$
    SELECT FROM sessions WHERE id = _session FOR SHARE;
    UPDATE hosts SET until = least(until, now_ms()) WHERE session = _session AND connection = _connection;
    SELECT arm_lost(ARRAY[_session]);
$$;

-- Renews the leases of a node's connections of hosts; item n of each array makes one. Whoever is no host any more has
-- none to renew. Gives the sessions among them that are interrupted, for their hosts are back, and those that have ended.
-- The sessions are locked: otherwise one that ends meanwhile could keep a host and a timer for good, and a timer that
-- acts on a lost host could wait for a renewal that waits for that timer.
CREATE FUNCTION renew_hosts(
    _node text, _lease bigint, _sessions uuid[], _connections text[], _members text[], _devices text[]
) RETURNS TABLE (session uuid, ended boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM sessions WHERE id = ANY (_sessions) ORDER BY id FOR SHARE;
    INSERT INTO hosts
    SELECT i.session, i.connection, _node, i.member, i.device, now_ms() + _lease
      FROM unnest(_sessions, _connections, _members, _devices) AS i (session, connection, member, device)
      JOIN sessions s ON s.id = i.session AND s.state <> 'ended'
     WHERE is_host(i.session, i.member)
     ORDER BY i.session, i.connection
    ON CONFLICT (session, connection) DO UPDATE SET until = excluded.until;
    PERFORM arm_lost(_sessions);
    -- Who has left the video channel is connected all the while, and not back for that.
    RETURN QUERY SELECT s.id, s.state = 'ended' FROM sessions s
      WHERE s.id = ANY (_sessions) AND (s.state = 'ended'
         OR s.state = 'interrupted' AND s.reason IS DISTINCT FROM 'host_left_channel'
            AND EXISTS (SELECT FROM hosts h WHERE h.session = s.id AND h.connection = ANY (_connections)
                           AND h.until > now_ms()));
END $$;

-- Somebody is there: the time after which an empty session ends begins anew.
CREATE FUNCTION renew_empty(_sessions uuid[], _beat bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE timers t SET due = d.due, held_until = 0
      FROM (SELECT t.session, now_ms() + (s.limits->>'empty')::bigint AS due
              FROM timers t JOIN sessions s ON s.id = t.session
             WHERE t.session = ANY (_sessions) AND t.kind = 'empty'
             ORDER BY t.session FOR UPDATE OF t) d
     WHERE t.session = d.session AND t.kind = 'empty' AND d.due - t.due >= _beat;
$$;

-- Takes what is due, at most `_count`, for `_hold`. A timer that counts from the end of a lease is not due while
-- nobody could renew that: after a time in which no node was heard of here, all leases of hosts begin anew.
-- With each timer comes where its session stands.
CREATE FUNCTION take_timers(_count integer, _hold bigint, _lease bigint)
RETURNS TABLE (session uuid, kind text, term bigint, late bigint, version integer, state text, former text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _now  bigint := now_ms();
    _last bigint;
BEGIN
    SELECT at INTO _last FROM pulse FOR UPDATE;
    IF _now - _last > _lease / 2 THEN
        UPDATE timers t SET due = greatest(t.due, d.due)
          FROM (SELECT t.session, _now + _lease + (s.limits->>'grace')::bigint AS due
                  FROM timers t JOIN sessions s ON s.id = t.session
                 WHERE t.kind = 'lost' ORDER BY t.session FOR UPDATE OF t) d
         WHERE t.session = d.session AND t.kind = 'lost';
    END IF;
    UPDATE pulse SET at = _now;
    RETURN QUERY
    WITH taken AS (
        UPDATE timers t SET term = t.term + 1, held_until = _now + _hold
          FROM (SELECT d.session, d.kind FROM timers d
                 WHERE d.due <= _now AND d.held_until <= _now
                 ORDER BY d.due LIMIT _count FOR UPDATE SKIP LOCKED) due
         WHERE t.session = due.session AND t.kind = due.kind
        RETURNING t.session, t.kind, t.term, _now - t.due AS late
    )
    SELECT t.session, t.kind, t.term, t.late, s.version, s.state, s.former
      FROM taken t JOIN sessions s ON s.id = t.session;
END $$;
