-- Lists of sessions, and what sessions come to after their end.

-- Finding sessions: by state, by host, by parts of the title.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX sessions_by_host ON sessions (host, state, id);
CREATE INDEX sessions_by_title ON sessions USING gin (title gin_trgm_ops);

-- Gives the newest sessions below `_before` (or of all, where it is null), at most `_limit`, that are in one of
-- `_states`, of `_host` unless that is null, and whose titles are like each of `_patterns`, whatever the case; of private
-- ones those that are there for `_viewer`, unless that is null.
-- For each state by itself, as the indexes give its sessions in their order. And planned anew each time, with the
-- words at hand: of a rare one the index of titles has few, of a common one the newest sessions soon have enough.
CREATE FUNCTION find_sessions(_states text[], _host text, _patterns text[], _before uuid, _limit integer, _viewer text)
RETURNS SETOF uuid LANGUAGE plpgsql STABLE AS $$
DECLARE
    _wanted text := concat(' AND s.host = ' || quote_literal(_host), ' AND s.id < ' || quote_literal(_before),
                           ' AND admits(s.id, ' || quote_literal(_viewer) || ')');
    _parts  text;
BEGIN
    SELECT concat(_wanted, string_agg(' AND s.title ILIKE ' || quote_literal(p), '')) INTO _wanted
      FROM unnest(_patterns) p;
    SELECT string_agg(format('(SELECT s.id FROM sessions s WHERE s.state = %L%s ORDER BY s.id DESC LIMIT %s)',
                             state, _wanted, _limit), ' UNION ALL ') INTO _parts
      FROM unnest(_states) state;
    IF _parts IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT f.id FROM (%s) f ORDER BY f.id DESC LIMIT %s', _parts, _limit);
    END IF;
END $$;

-- What a log comes to, once it is closed: what a summary needs of it after its events were dropped.
CREATE TABLE log_totals (
    session  uuid PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    messages bigint NOT NULL,
    chatters bigint NOT NULL
);

-- Gives what a closed log comes to, and keeps it. Gives nothing while the log is open: it may still grow.
CREATE FUNCTION total_log(_session uuid) RETURNS TABLE (messages bigint, chatters bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM log_totals WHERE session = _session) THEN
        INSERT INTO log_totals
        SELECT h.session, c.messages, c.chatters
          FROM log_heads h CROSS JOIN LATERAL (
              SELECT count(*) AS messages, count(DISTINCT e.sender) AS chatters
                FROM events e WHERE e.session = h.session AND e.kind = 'chat.posted') c
         WHERE h.session = _session AND NOT h.open
            -- Others may count at the same time; or the log is being dropped, and who does that has counted before.
            ON CONFLICT DO NOTHING;
    END IF;
    RETURN QUERY SELECT t.messages, t.chatters FROM log_totals t WHERE t.session = _session;
END $$;

-- As before; and what the logs come to is kept, where it was not yet.
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
        EXECUTE format('DROP TABLE %I', _name);
    END IF;
    RETURN QUERY SELECT _name, _until, _sessions, _unfinished;
END $$;
