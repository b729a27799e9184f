-- Retention: partitions are added without holding up appends, and dropped when all that they hold is old.

CREATE FUNCTION new_epoch() RETURNS text LANGUAGE sql VOLATILE AS
$$ SELECT substr(replace(gen_random_uuid()::text, '-', ''), 1, 12) $$;

-- Makes the partitions that reach from now to `_ahead` later; gives how many it made.
-- Each is attached when it is ready: that leaves appends and reads alone, while CREATE TABLE … PARTITION OF waits
-- for all that are under way (a backup reads for hours), and makes all that come meanwhile wait behind it.
CREATE OR REPLACE FUNCTION add_partitions(_width bigint, _ahead bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    _from bigint;
    _name text;
    _made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('stagewire.partitions'));
    -- Each partition carries the end of its span in its name, so the next one begins where it ends.
    SELECT max(until) INTO _from FROM partitions();
    _from := coalesce(_from, now_ms() / _width * _width);
    WHILE _from < now_ms() + _ahead LOOP
        _name := 'events_until_' || _from + _width;
        EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING ALL)', _name);
        EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       _name, uuid_floor(_from), uuid_floor(_from + _width));
        _from := _from + _width;
        _made := _made + 1;
    END LOOP;
    RETURN _made;
END $$;

-- The partitions of the log: the sessions from `first` to before `until` lie in it. Where a span begins, only
-- its bounds say: the one before it may be gone.
CREATE FUNCTION partitions() RETURNS TABLE (name text, first uuid, until bigint) LANGUAGE sql STABLE AS $$
    SELECT c.relname::text,
           substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \(''([0-9a-f-]+)''\)')::uuid,
           substr(c.relname, length('events_until_') + 1)::bigint
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'events'::regclass
$$;

-- Drops the oldest partition whose span ended after `_after`, and all of whose sessions ended before `_before`;
-- at most one for each call. Gives its name, how many sessions lie in it, and how many of them have not ended
-- before `_before`: where there is any, it stays. Gives nothing where no span ended before `_before`, or where
-- another node is at it.
--
-- The sessions stay, and can be listed and read. Their logs begin anew: another epoch, and nothing in them.
--
-- To drop a partition is to lock all of `events` against everybody. It waits for what is under way, and all that
-- comes meanwhile waits behind it: hence the limit, which makes this an error, to be tried again some other time.
-- Everything that takes time is done before: a partition of 500,000 events of 50,000 sessions took 1.3 s, and the
-- slowest append of that time 60 ms, no more than at any other time. (DETACH PARTITION CONCURRENTLY
-- would hold up nobody, but takes no part in a transaction: it can be left half done, and can't go with the epochs.)
-- Nothing is left half done, since this is one statement; and one that
-- is sent alone can't leave locks with a client that has stopped in the middle.
CREATE FUNCTION drop_partition(_after bigint, _before bigint)
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
        UPDATE log_heads SET epoch = new_epoch(), seq = 0
         WHERE session >= _first AND session < uuid_floor(_until);
        EXECUTE format('DROP TABLE %I', _name);
    END IF;
    RETURN QUERY SELECT _name, _until, _sessions, _unfinished;
END $$;

-- Begins another life of every log that is open; gives how many. After a restore to an older state, clients hold
-- positions of events that no longer exist, and the log will give their `seq` to others. A log that is closed is
-- as it was: nothing has been appended to it since.
CREATE FUNCTION new_epochs() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    _count bigint;
BEGIN
    UPDATE log_heads SET epoch = new_epoch() WHERE open;
    GET DIAGNOSTICS _count = ROW_COUNT;
    UPDATE inbox_heads SET epoch = new_epoch();
    RETURN _count;
END $$;
