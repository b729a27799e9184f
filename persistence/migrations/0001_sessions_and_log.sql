-- Sessions, their logs, and the functions that append to them.
-- Times are milliseconds since the epoch, UTC, and come from this database's clock alone.

CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

CREATE TABLE sessions (
    id         uuid PRIMARY KEY DEFAULT uuidv7(),
    host       text NOT NULL,
    title      text NOT NULL,
    state      text NOT NULL DEFAULT 'scheduled',
    version    integer NOT NULL DEFAULT 1,
    created_at bigint NOT NULL,
    started_at bigint,
    ended_at   bigint
);
CREATE INDEX sessions_by_state ON sessions (state, id);

-- The counter of each session's log. An append locks its row, so `seq` has neither holes nor
-- repetitions, and whoever sees event n sees all below it. Apart from `sessions`, because it is
-- rewritten with every batch: the free space keeps those updates on the page (HOT).
CREATE TABLE log_heads (
    session uuid PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    epoch   text NOT NULL DEFAULT substr(replace(gen_random_uuid()::text, '-', ''), 1, 12),
    seq     bigint NOT NULL DEFAULT 0,
    at      bigint NOT NULL DEFAULT 0,
    open    boolean NOT NULL DEFAULT true
) WITH (fillfactor = 50);

-- Session ids are UUIDv7: partitions by range of the id are partitions by the session's time.
CREATE TABLE events (
    session uuid NOT NULL,
    seq     bigint NOT NULL,
    at      bigint NOT NULL,
    kind    text NOT NULL,
    sender  text NOT NULL,
    key     uuid,
    body    jsonb NOT NULL,
    PRIMARY KEY (session, seq),
    UNIQUE (session, sender, key)
) PARTITION BY RANGE (session);

-- The lowest UUIDv7 of a moment.
CREATE FUNCTION uuid_floor(_at bigint) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT AS
$$ SELECT rpad(lpad(to_hex(_at), 12, '0'), 32, '0')::uuid $$;

-- Makes the partitions that reach from now to `_ahead` later; gives how many it made.
CREATE FUNCTION add_partitions(_width bigint, _ahead bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    _from bigint;
    _made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('stagewire.partitions'));
    -- Each partition carries the end of its span in its name, so the next one begins where it ends.
    SELECT max(substr(c.relname, length('events_until_') + 1)::bigint) INTO _from
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'events'::regclass;
    _from := coalesce(_from, now_ms() / _width * _width);
    WHILE _from < now_ms() + _ahead LOOP
        EXECUTE format('CREATE TABLE events_until_%s PARTITION OF events FOR VALUES FROM (%L) TO (%L)',
                       _from + _width, uuid_floor(_from), uuid_floor(_from + _width));
        _from := _from + _width;
        _made := _made + 1;
    END LOOP;
    RETURN _made;
END $$;

CREATE FUNCTION create_session(_host text, _title text) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    _id uuid;
    _at bigint := now_ms();
BEGIN
    INSERT INTO sessions (host, title, created_at) VALUES (_host, _title, _at) RETURNING id INTO _id;
    INSERT INTO log_heads (session, seq, at) VALUES (_id, 1, _at);
    INSERT INTO events (session, seq, at, kind, sender, body)
    VALUES (_id, 1, _at, 'session.created', _host, '{"state": "scheduled", "version": 1}');
    RETURN _id;
END $$;

-- Appends a batch, which may belong to several sessions. Item n of each array makes one event.
-- `_ages` says how many milliseconds ago each event happened. Outcomes, by ordinal:
--   new       appended: its seq and at
--   repeat    the sender has used this key for the same event: the seq and at of that one
--   conflict  the sender has used this key for something else
--   closed    the session has ended
--   missing   there is no such session
-- A key may stand only once in a batch.
CREATE FUNCTION append_events(
    _sessions uuid[], _senders text[], _keys uuid[], _kinds text[], _ages bigint[], _bodies text[]
) RETURNS TABLE (ordinal bigint, outcome text, seq bigint, at bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _now bigint;
BEGIN
    -- In one order, so that batches never wait for each other in a circle.
    PERFORM FROM log_heads WHERE session = ANY (_sessions) ORDER BY session FOR UPDATE;
    _now := now_ms();
    -- Only a statement that begins after the lock sees the keys of the batches before.
    RETURN QUERY
    WITH item AS MATERIALIZED (
        SELECT i.session, i.sender, i.key, i.kind, i.age, i.body::jsonb AS body, i.ordinal,
               h.seq AS head, h.at AS head_at, h.open, e.seq AS old_seq, e.at AS old_at,
               e.kind = i.kind AND e.body = i.body::jsonb AS same
          FROM unnest(_sessions, _senders, _keys, _kinds, _ages, _bodies)
               WITH ORDINALITY AS i (session, sender, key, kind, age, body, ordinal)
          LEFT JOIN log_heads h ON h.session = i.session
          LEFT JOIN events e ON e.session = i.session AND e.sender = i.sender AND e.key = i.key
    ), fresh AS MATERIALIZED (
        SELECT item.*,
               head + row_number() OVER (PARTITION BY session ORDER BY item.ordinal) AS new_seq,
               greatest(head_at, _now) - age AS new_at
          FROM item WHERE open AND old_seq IS NULL
    ), inserted AS (
        INSERT INTO events (session, seq, at, kind, sender, key, body)
        SELECT session, new_seq, new_at, kind, sender, key, body FROM fresh
    ), moved AS (
        UPDATE log_heads h SET seq = m.seq, at = greatest(h.at, _now)
          FROM (SELECT session, max(new_seq) AS seq FROM fresh GROUP BY session) m
         WHERE h.session = m.session
    )
    SELECT i.ordinal,
           CASE WHEN i.head IS NULL THEN 'missing'
                WHEN i.old_seq IS NOT NULL THEN CASE WHEN i.same THEN 'repeat' ELSE 'conflict' END
                WHEN f.ordinal IS NOT NULL THEN 'new'
                ELSE 'closed' END,
           coalesce(f.new_seq, i.old_seq), coalesce(f.new_at, i.old_at)
      FROM item i LEFT JOIN fresh f ON f.ordinal = i.ordinal
     ORDER BY i.ordinal;
END $$;

-- Moves a session of version `_version` to another state, as an event of its log. Gives that event,
-- or nothing where the session has another version by now.
CREATE FUNCTION move_session(_session uuid, _version integer, _to text, _kind text, _by text)
RETURNS TABLE (seq bigint, at bigint, kind text, sender text, key uuid, body jsonb) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _seq bigint;
    _at  bigint;
BEGIN
    SELECT h.seq + 1, greatest(h.at, now_ms()) INTO _seq, _at
      FROM log_heads h WHERE h.session = _session FOR UPDATE;
    UPDATE sessions
       SET state = _to, version = version + 1,
           started_at = CASE WHEN _kind = 'session.started' THEN _at ELSE started_at END,
           ended_at = CASE WHEN _kind = 'session.ended' THEN _at ELSE ended_at END
     WHERE id = _session AND version = _version;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE log_heads SET seq = _seq, at = _at, open = _kind <> 'session.ended' WHERE session = _session;
    RETURN QUERY
    INSERT INTO events AS e (session, seq, at, kind, sender, body)
    VALUES (_session, _seq, _at, _kind, _by, jsonb_build_object('state', _to, 'version', _version + 1))
    RETURNING e.seq, e.at, e.kind, e.sender, e.key, e.body;
END $$;

-- Agora knows a user of a session by a number of 32 bits, never 0: the same for every device and day.
CREATE TABLE agora_uids (
    session uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    member  text NOT NULL,
    uid     bigint NOT NULL CHECK (uid BETWEEN 1 AND 4294967295),
    PRIMARY KEY (session, member),
    UNIQUE (session, uid)
);

CREATE FUNCTION agora_uid(_session uuid, _member text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    _uid bigint;
BEGIN
    LOOP
        SELECT uid INTO _uid FROM agora_uids WHERE session = _session AND member = _member;
        EXIT WHEN FOUND;
        -- Either constraint may object: another call has just stored this user, or the number is taken.
        INSERT INTO agora_uids VALUES (_session, _member, 1 + floor(random() * 4294967295)::bigint)
        ON CONFLICT DO NOTHING;
    END LOOP;
    RETURN _uid;
END $$;
