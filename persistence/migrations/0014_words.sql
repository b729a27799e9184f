-- The index over words has a table of its own, which is filled behind the appends, in batches: see docs/adr/0016.

-- As before, but good for any text whatsoever: 100,000 characters can't make more than a tsvector holds. An append
-- does not look at the words any more, so it would not refuse what the index can't take.
CREATE OR REPLACE FUNCTION words_of(_body jsonb) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT to_tsvector('simple', left(coalesce(_body->>'text', ''), 100000)) $$;

-- The words of each text that was posted or edited, up to what `word_heads` says; and the message that had them
-- once. Partitions go with those of `events`.
CREATE TABLE words (
    session uuid     NOT NULL,
    message bigint   NOT NULL,
    words   tsvector NOT NULL
) PARTITION BY RANGE (session);

-- How far the words of each log are indexed. What has no row is not indexed at all.
CREATE TABLE word_heads (
    session uuid PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    seq     bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

DO $$
DECLARE
    _part record;
BEGIN
    FOR _part IN SELECT * FROM partitions() LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF words FOR VALUES FROM (%L) TO (%L)',
                       'words_until_' || _part.until, _part.first, uuid_floor(_part.until));
    END LOOP;
END $$;

-- What is stored already. One statement, and so one moment: nodes may append meanwhile.
WITH stored AS (
    INSERT INTO words (session, message, words)
    SELECT session, CASE kind WHEN 'chat.posted' THEN seq ELSE (body->>'seq')::bigint END, words_of(body)
      FROM events WHERE kind IN ('chat.posted', 'chat.edited')
)
INSERT INTO word_heads (session, seq) SELECT session, seq FROM log_heads WHERE seq > 0;

-- New words are gathered, and sorted in when there are many: in the background that costs nobody's time.
CREATE INDEX words_by_word ON words USING gin (session, words) WITH (fastupdate = on, gin_pending_list_limit = 1024);

-- Indexes the words of logs, from where each was left: `_most` events in one call, of the first sessions as many
-- as they have. What another call is at is left to that one. Gives, for each session that there is, how many events
-- were indexed, and how many are left.
CREATE FUNCTION index_words(_sessions uuid[], _most bigint)
RETURNS TABLE (session uuid, indexed bigint, behind bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    -- Before anything is looked at: while a partition is dropped nothing is indexed, or what is new of a log that
    -- begins anew would be taken for indexed. And before `events`, in the order in which those are locked as well.
    LOCK TABLE ONLY words IN ROW EXCLUSIVE MODE;
    -- In one order, as another call that makes the same row is waited for.
    INSERT INTO word_heads (session)
    SELECT h.session FROM log_heads h
     WHERE h.session = ANY (_sessions) AND NOT EXISTS (SELECT FROM word_heads w WHERE w.session = h.session)
     ORDER BY h.session
        ON CONFLICT DO NOTHING;
    RETURN QUERY
    WITH held AS MATERIALIZED (
        -- A row that has just been moved by another call is seen as it is now, though the log is seen as it was.
        SELECT w.session, w.seq FROM word_heads w WHERE w.session = ANY (_sessions) FOR UPDATE SKIP LOCKED
    ), due AS (
        SELECT session, held.seq AS since, h.seq - held.seq AS behind,
               _most - coalesce(sum(h.seq - held.seq) OVER (
                   ORDER BY asked.ordinal ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::bigint AS room
          FROM unnest(_sessions) WITH ORDINALITY AS asked (session, ordinal)
          JOIN held USING (session) JOIN log_heads h USING (session)
         WHERE h.seq > held.seq
    ), span AS MATERIALIZED (
        SELECT session, since, since + least(behind, room) AS upto FROM due WHERE room > 0
    ), stored AS (
        INSERT INTO words (session, message, words)
        SELECT span.session, e.message, e.words
          FROM span CROSS JOIN LATERAL (
              SELECT CASE kind WHEN 'chat.posted' THEN seq ELSE (body->>'seq')::bigint END AS message,
                     words_of(body) AS words
                FROM events
               WHERE session = span.session AND seq > since AND seq <= upto AND kind IN ('chat.posted', 'chat.edited')
              OFFSET 0
          ) e
    ), moved AS (
        UPDATE word_heads w SET seq = upto FROM span WHERE w.session = span.session
    )
    SELECT session, coalesce(upto - since, 0), greatest(0, h.seq - coalesce(upto, held.seq, w.seq))
      FROM log_heads h LEFT JOIN span USING (session) LEFT JOIN held USING (session)
      -- Of what another call is at, as it was before that.
      LEFT JOIN word_heads w USING (session)
     WHERE session = ANY (_sessions);
END $$;

-- As before; and partitions of `words` beside those of `events`.
CREATE OR REPLACE FUNCTION add_partitions(_width bigint, _ahead bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    _from  bigint;
    _table text;
    _name  text;
    _made  integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('stagewire.partitions'));
    -- Each partition carries the end of its span in its name, so the next one begins where it ends.
    SELECT max(until) INTO _from FROM partitions();
    _from := coalesce(_from, now_ms() / _width * _width);
    WHILE _from < now_ms() + _ahead LOOP
        FOREACH _table IN ARRAY '{words,events}'::text[] LOOP
            _name := format('%s_until_%s', _table, _from + _width);
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', _name, _table);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                           _table, _name, uuid_floor(_from), uuid_floor(_from + _width));
        END LOOP;
        _from := _from + _width;
        _made := _made + 1;
    END LOOP;
    RETURN _made;
END $$;

-- As before; and the words go with the events.
CREATE OR REPLACE FUNCTION drop_partition(_after bigint, _before bigint)
RETURNS TABLE (name text, until bigint, sessions bigint, unfinished bigint)
LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
#variable_conflict use_column
DECLARE
    _name       text;
    _first      uuid;
    _until      bigint;
    _sessions   bigint;
    _unfinished bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('stagewire.retention')) THEN
        RETURN;
    END IF;
    SELECT p.name, p.first, p.until INTO _name, _first, _until
      FROM partitions() p WHERE p.until > _after AND p.until <= _before ORDER BY p.until LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- A session that has ended never begins again, and nothing is created in the past: what is found here stays so.
    SELECT count(*), count(*) FILTER (WHERE s.ended_at IS NULL OR s.ended_at > _before) INTO _sessions, _unfinished
      FROM sessions s WHERE s.id >= _first AND s.id < uuid_floor(_until);
    IF _unfinished = 0 THEN
        INSERT INTO log_totals
        SELECT s.id, count(*) FILTER (WHERE e.kind = 'chat.posted'),
               count(DISTINCT e.sender) FILTER (WHERE e.kind = 'chat.posted')
          FROM sessions s JOIN events e ON e.session = s.id
         WHERE s.id >= _first AND s.id < uuid_floor(_until)
           AND e.session >= _first AND e.session < uuid_floor(_until)
           AND NOT EXISTS (SELECT FROM log_totals t WHERE t.session = s.id)
         GROUP BY s.id
            ON CONFLICT DO NOTHING;
        UPDATE log_heads SET epoch = new_epoch(), seq = 0
         WHERE session >= _first AND session < uuid_floor(_until);
        DELETE FROM word_heads WHERE session >= _first AND session < uuid_floor(_until);
        -- The words first, as whoever reads both locks them in this order. From here on nothing is indexed;
        -- what was begun before may have made another row.
        EXECUTE format('DROP TABLE %I', 'words_until_' || _until);
        DELETE FROM word_heads WHERE session >= _first AND session < uuid_floor(_until);
        EXECUTE format('DROP TABLE %I', _name);
    END IF;
    RETURN QUERY SELECT _name, _until, _sessions, _unfinished;
END $$;

-- At the end, since that locks `events` against everybody until it is committed.
DROP INDEX events_by_word;
