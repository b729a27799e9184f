-- Inboxes: what waits for a user, in order, until it is acknowledged.
-- Times are milliseconds since the epoch, UTC, and come from this database's clock alone.

-- The counter of each inbox. An append locks its row, so ids have neither holes nor repetitions, and whoever
-- sees entry n sees all below it. What is not above `acked` and `dropped` is gone: acknowledged by the user,
-- or taken out unread because it was too old or one too many.
CREATE TABLE inbox_heads (
    member  text PRIMARY KEY,
    epoch   text NOT NULL DEFAULT substr(replace(gen_random_uuid()::text, '-', ''), 1, 12),
    seq     bigint NOT NULL DEFAULT 0,
    acked   bigint NOT NULL DEFAULT 0,
    dropped bigint NOT NULL DEFAULT 0,
    at      bigint NOT NULL DEFAULT 0
);
-- Every node asks every second which inboxes have got something.
CREATE INDEX inbox_heads_by_time ON inbox_heads (at);

-- An entry that is gone keeps its key for as long as it would have lived, so that its repetition is known, and
-- loses its body at once; `digest` is what a repetition is compared with.
CREATE TABLE inbox (
    member text NOT NULL,
    id     bigint NOT NULL,
    at     bigint NOT NULL,
    kind   text NOT NULL,
    sender text NOT NULL,
    key    uuid NOT NULL,
    digest bytea NOT NULL,
    body   jsonb,
    PRIMARY KEY (member, id),
    UNIQUE (member, sender, key)
);
CREATE INDEX inbox_by_time ON inbox (at);

-- Appends a batch, which may belong to several inboxes, of which each keeps its newest `_limit` entries.
-- Item n of each array makes one entry. Outcomes, by ordinal:
--   new       appended: its id and at
--   repeat    the sender has used this key for the same entry: the id and at of that one
--   conflict  the sender has used this key for something else
-- A key may stand only once in a batch.
CREATE FUNCTION append_inbox(
    _members text[], _senders text[], _keys uuid[], _kinds text[], _bodies text[], _limit bigint
) RETURNS TABLE (ordinal bigint, outcome text, id bigint, at bigint, epoch text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _now bigint;
BEGIN
    -- In one order, here and below, so that batches never wait for each other in a circle.
    INSERT INTO inbox_heads (member) SELECT DISTINCT m FROM unnest(_members) m ORDER BY m ON CONFLICT DO NOTHING;
    PERFORM FROM inbox_heads WHERE member = ANY (_members) ORDER BY member FOR UPDATE;
    _now := now_ms();
    -- Only a statement that begins after the lock sees the keys of the batches before.
    RETURN QUERY
    WITH item AS MATERIALIZED (
        SELECT i.member, i.sender, i.key, i.kind, i.body::jsonb AS body, i.ordinal,
               sha256(convert_to(i.kind || i.body::jsonb::text, 'UTF8')) AS digest,
               h.epoch, h.seq AS head, h.at AS head_at, e.id AS old_id, e.at AS old_at, e.digest AS old_digest
          FROM unnest(_members, _senders, _keys, _kinds, _bodies)
               WITH ORDINALITY AS i (member, sender, key, kind, body, ordinal)
          JOIN inbox_heads h ON h.member = i.member
          LEFT JOIN inbox e ON e.member = i.member AND e.sender = i.sender AND e.key = i.key
    ), fresh AS MATERIALIZED (
        SELECT item.*,
               head + row_number() OVER (PARTITION BY member ORDER BY item.ordinal) AS new_id,
               greatest(head_at, _now) AS new_at
          FROM item WHERE old_id IS NULL
    ), inserted AS (
        INSERT INTO inbox (member, id, at, kind, sender, key, digest, body)
        SELECT member, new_id, new_at, kind, sender, key, digest, body FROM fresh
    ), moved AS (
        UPDATE inbox_heads h
           SET seq = m.seq, at = greatest(h.at, _now), dropped = greatest(h.dropped, m.seq - _limit)
          FROM (SELECT member, max(new_id) AS seq FROM fresh GROUP BY member) m
         WHERE h.member = m.member
        RETURNING h.member, old.dropped AS was, new.dropped AS now
    ), cleared AS (
        UPDATE inbox e SET body = NULL FROM moved m
         WHERE e.member = m.member AND e.id > m.was AND e.id <= m.now
    )
    SELECT i.ordinal,
           CASE WHEN f.ordinal IS NOT NULL THEN 'new'
                WHEN i.digest = i.old_digest THEN 'repeat'
                ELSE 'conflict' END,
           coalesce(f.new_id, i.old_id), coalesce(f.new_at, i.old_at), i.epoch
      FROM item i LEFT JOIN fresh f ON f.ordinal = i.ordinal
     ORDER BY i.ordinal;
END $$;

-- Takes out everything up to and including `_upto`; gives the head, or nothing where that changes nothing.
CREATE FUNCTION ack_inbox(_member text, _upto bigint)
RETURNS TABLE (epoch text, seq bigint, acked bigint, dropped bigint) LANGUAGE sql AS $$
    WITH moved AS (
        UPDATE inbox_heads h SET acked = least(_upto, h.seq)
         WHERE h.member = _member AND h.acked < least(_upto, h.seq)
        RETURNING h.epoch, h.seq, new.acked, h.dropped, greatest(old.acked, old.dropped) AS gone
    ), cleared AS (
        UPDATE inbox e SET body = NULL FROM moved m
         WHERE e.member = _member AND e.id > m.gone AND e.id <= m.acked
    )
    SELECT m.epoch, m.seq, m.acked, m.dropped FROM moved m
$$;

-- Deletes the entries from before a moment, those of about `_limit` at a time; gives how many. Only one node at
-- a time does that: for the others there is nothing to do.
CREATE FUNCTION sweep_inboxes(_before bigint, _limit integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    _members text[];
    _swept   bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('stagewire.inboxes')) THEN
        RETURN 0;
    END IF;
    SELECT array_agg(DISTINCT o.member) INTO _members
      FROM (SELECT member FROM inbox WHERE at < _before ORDER BY at LIMIT _limit) o;
    PERFORM FROM inbox_heads WHERE member = ANY (_members) ORDER BY member FOR UPDATE;
    WITH old AS (
        DELETE FROM inbox WHERE member = ANY (_members) AND at < _before RETURNING member, id
    ), moved AS (
        -- Times ascend with the ids, so what lies below an old entry is older still.
        UPDATE inbox_heads h SET dropped = greatest(h.dropped, o.id)
          FROM (SELECT member, max(id) AS id FROM old GROUP BY member) o
         WHERE h.member = o.member
    )
    SELECT count(*) INTO _swept FROM old;
    RETURN _swept;
END $$;
