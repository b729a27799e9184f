-- What became of messages: edits and deletions, merged in when events are told again; and the search.

-- For the search to find words within one session. A trusted extension: the database's owner may.
CREATE EXTENSION IF NOT EXISTS btree_gin;

-- The changes of a message. Partial: a message that nobody changes costs nothing.
CREATE INDEX edits_by_message ON events (session, ((body->>'seq')::bigint), at, seq) WHERE kind = 'chat.edited';
CREATE INDEX deletions_by_message ON events (session, ((body->>'seq')::bigint)) WHERE kind = 'chat.deleted';

-- The words of a text. `simple` because a chat has any language, often several.
CREATE FUNCTION words_of(_body jsonb) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT to_tsvector('simple', coalesce(_body->>'text', '')) $$;

-- Each append keeps this up to date at once: gathering new words first (fastupdate) makes every so many appends
-- wait for 100 ms, and the others not faster by much.
CREATE INDEX events_by_word ON events USING gin (session, words_of(body)) WITH (fastupdate = off)
 WHERE kind IN ('chat.posted', 'chat.edited');

-- Events as they are told again, with what became of their message merged in: the text of the latest edit by
-- (at, seq), with that stamp; or no text, where the message was deleted. `realtime/domain/timeline.py` has the
-- same merge, and explains it.
CREATE VIEW told_events AS
SELECT e.session, e.seq, e.at, e.kind, e.sender, e.key, e.message,
       CASE WHEN gone.seq IS NOT NULL THEN e.body - 'text' || '{"deleted": true}'
            WHEN latest.seq IS NOT NULL AND latest.seq <> e.seq THEN
                e.body || jsonb_build_object('text', latest.text,
                                             'edited', jsonb_build_object('at', latest.at, 'seq', latest.seq))
            ELSE e.body END AS body
  FROM (SELECT *, CASE kind WHEN 'chat.posted' THEN seq
                            WHEN 'chat.edited' THEN (body->>'seq')::bigint END AS message
          FROM events) e
  LEFT JOIN LATERAL (
      SELECT c.seq, c.at, c.body->>'text' AS text FROM events c
       WHERE c.kind = 'chat.edited' AND c.session = e.session AND (c.body->>'seq')::bigint = e.message
       ORDER BY c.at DESC, c.seq DESC LIMIT 1
  ) latest ON true
  LEFT JOIN LATERAL (
      SELECT c.seq FROM events c
       WHERE c.kind = 'chat.deleted' AND c.session = e.session AND (c.body->>'seq')::bigint = e.message
       LIMIT 1
  ) gone ON true;

-- Appends a batch, which may belong to several sessions. Item n of each array makes one event.
-- `_ages` says how many milliseconds ago each event happened; but a message that is posted belongs to no earlier
-- moment than the one that its sender posted before it. Outcomes, by ordinal:
--   new       appended: its seq and at
--   repeat    the sender has used this key for the same event: the seq and at of that one
--   conflict  the sender has used this key for something else
--   closed    the session has ended
--   missing   there is no such session
-- `epoch` is the log's at that moment: whoever follows another one follows another log.
-- A key may stand only once in a batch.
DROP FUNCTION append_events;
CREATE FUNCTION append_events(
    _sessions uuid[], _senders text[], _keys uuid[], _kinds text[], _ages bigint[], _bodies text[]
) RETURNS TABLE (ordinal bigint, outcome text, seq bigint, at bigint, epoch text) LANGUAGE plpgsql AS $$
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
               h.seq AS head, h.at AS head_at, h.epoch, h.open, e.seq AS old_seq, e.at AS old_at,
               e.kind = i.kind AND e.body = i.body::jsonb AS same
          FROM unnest(_sessions, _senders, _keys, _kinds, _ages, _bodies)
               WITH ORDINALITY AS i (session, sender, key, kind, age, body, ordinal)
          LEFT JOIN log_heads h ON h.session = i.session
          LEFT JOIN events e ON e.session = i.session AND e.sender = i.sender AND e.key = i.key
    ), fresh AS MATERIALIZED (
        SELECT item.*,
               head + row_number() OVER (PARTITION BY session ORDER BY item.ordinal) AS new_seq,
               -- How long this append took to come here is part of `_now`: no reason to show what somebody wrote
               -- offline before what the same one wrote before it.
               greatest(greatest(head_at, _now) - age,
                        CASE WHEN age > 0 AND kind = 'chat.posted' THEN (
                            SELECT p.at FROM events p
                             WHERE p.session = item.session AND p.seq > head - 1000
                               AND p.sender = item.sender AND p.kind = 'chat.posted'
                             ORDER BY p.seq DESC LIMIT 1) END) AS new_at
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
           coalesce(f.new_seq, i.old_seq), coalesce(f.new_at, i.old_at), i.epoch
      FROM item i LEFT JOIN fresh f ON f.ordinal = i.ordinal
     ORDER BY i.ordinal;
END $$;

-- Moves a session of version `_version` to another state, as an event of its log. Gives that event,
-- or nothing where the session has another version by now.
DROP FUNCTION move_session;
CREATE FUNCTION move_session(_session uuid, _version integer, _to text, _kind text, _by text)
RETURNS TABLE (seq bigint, at bigint, kind text, sender text, key uuid, body jsonb, epoch text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _seq   bigint;
    _at    bigint;
    _epoch text;
BEGIN
    SELECT h.seq + 1, greatest(h.at, now_ms()), h.epoch INTO _seq, _at, _epoch
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
    RETURNING e.seq, e.at, e.kind, e.sender, e.key, e.body, _epoch;
END $$;
