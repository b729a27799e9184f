-- What is set in sessions, who may come to private ones, and who follows whom.
-- Times are milliseconds since the epoch, UTC, and come from this database's clock alone.

ALTER TABLE sessions
    ADD COLUMN settings jsonb NOT NULL DEFAULT '{}',
    -- With what it was created, for a repetition to be compared with. Of older sessions that is not known.
    ADD COLUMN wish     jsonb DEFAULT '{}';
ALTER TABLE sessions ALTER COLUMN wish DROP DEFAULT;

-- Who may come to a private session, who has asked to, and who was declined; since when.
CREATE TABLE guests (
    session  uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    member   text NOT NULL,
    standing text NOT NULL CHECK (standing IN ('allowed', 'asked', 'declined')),
    at       bigint NOT NULL,
    PRIMARY KEY (session, member)
);
CREATE INDEX guests_by_standing ON guests (session, standing, member);

-- Who follows whom, as the application says.
CREATE TABLE followers (
    host     text NOT NULL,
    follower text NOT NULL,
    PRIMARY KEY (host, follower)
);

-- Creates a session with settings, or gives the one that this host has created with this key, and whether that was
-- created with the `same`.
CREATE FUNCTION create_session_with(
    _host text, _title text, _key uuid, _limits jsonb, _timers text[], _settings jsonb
) RETURNS TABLE (id uuid, same boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _id   uuid := create_session(_host, _title, _key, _limits, _timers);
    _wish jsonb := jsonb_build_object('title', _title, 'settings', _settings);
BEGIN
    UPDATE sessions SET settings = _settings, wish = _wish WHERE id = _id AND wish IS NULL;
    RETURN QUERY
    SELECT s.id, s.wish = _wish OR s.wish = '{}' AND s.title = _title FROM sessions s WHERE s.id = _id;
END $$;

-- Whether a session is there for a user: a private one for those who were named or allowed. Whoever is more than that
-- by the access token need not ask.
CREATE FUNCTION admits(_session uuid, _member text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT coalesce((s.settings->>'private')::boolean, false)
           OR s.host = _member
           OR EXISTS (SELECT FROM members m WHERE m.session = _session AND m.member = _member)
           OR EXISTS (SELECT FROM guests g
                       WHERE g.session = _session AND g.member = _member AND g.standing = 'allowed')
      FROM sessions s WHERE s.id = _session
$$;

-- Functions here lock in one order: log_heads, guests, sessions.

-- Makes an event of a change of a session, of version `_version` if that is given; `_more` stands in its body besides
-- state and version, and `_limits`, if given, are its limits from now on, with the timers of its state. What has
-- changed besides, its caller stores in the same transaction. Outcomes:
--   new       the event, and the epoch of its log
--   repeat    the sender has used this key for the same: the event of then
--   conflict  the sender has used this key for something else
--   stale     the session has another version by now
--   closed    it has ended
--   missing   there is no such session
CREATE FUNCTION change_session(
    _session uuid, _version integer, _kind text, _by text, _key uuid, _more jsonb,
    _limits jsonb DEFAULT NULL, _timers text[] DEFAULT NULL
) RETURNS TABLE (
    outcome text, epoch text, seq bigint, at bigint, kind text, sender text, key uuid, body jsonb
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _head log_heads;
    _now  sessions;
BEGIN
    SELECT * INTO _head FROM log_heads h WHERE h.session = _session FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'missing';
        RETURN NEXT;
        RETURN;
    END IF;
    IF _key IS NOT NULL THEN
        RETURN QUERY
        SELECT CASE WHEN e.kind = _kind AND NOT EXISTS (
                        SELECT FROM jsonb_each(_more) m WHERE e.body->m.key IS DISTINCT FROM m.value)
                    THEN 'repeat' ELSE 'conflict' END,
               _head.epoch, e.seq, e.at, e.kind, e.sender, e.key, e.body
          FROM events e WHERE e.session = _session AND e.sender = _by AND e.key = _key;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    UPDATE sessions SET version = version + 1, limits = coalesce(_limits, limits)
     WHERE id = _session AND version = coalesce(_version, version) AND _head.open
    RETURNING * INTO _now;
    IF NOT FOUND THEN
        outcome := CASE WHEN _head.open THEN 'stale' ELSE 'closed' END;
        RETURN NEXT;
        RETURN;
    END IF;
    IF _limits IS NOT NULL THEN
        PERFORM arm_timers(_session, _timers);
    END IF;
    _head.at := greatest(_head.at, now_ms());
    UPDATE log_heads SET seq = _head.seq + 1, at = _head.at WHERE session = _session;
    RETURN QUERY
    INSERT INTO events AS e (session, seq, at, kind, sender, key, body)
    VALUES (_session, _head.seq + 1, _head.at, _kind, _by, _key,
            jsonb_strip_nulls(jsonb_build_object('state', _now.state, 'version', _now.version,
                                                 'reason', _now.reason, 'ends_at', ends_at(_session))) || _more)
    RETURNING 'new', _head.epoch, e.seq, e.at, e.kind, e.sender, e.key, e.body;
END $$;

-- Changes title and settings of a session of version `_version`. Outcomes are those of `change_session`.
CREATE FUNCTION update_session(
    _session uuid, _version integer, _by text, _key uuid, _title text, _settings jsonb, _changes jsonb,
    _limits jsonb, _timers text[]
) RETURNS TABLE (
    outcome text, epoch text, seq bigint, at bigint, kind text, sender text, key uuid, body jsonb
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT * INTO outcome, epoch, seq, at, kind, sender, key, body
      FROM change_session(_session, _version, 'session.updated', _by, _key, jsonb_build_object('changes', _changes),
                          _limits, _timers);
    IF outcome = 'new' THEN
        UPDATE sessions SET title = _title, settings = _settings WHERE id = _session;
    END IF;
    RETURN NEXT;
END $$;

-- Names a member of a session of version `_version`: co-host, moderator, or viewer again. Outcomes likewise.
CREATE FUNCTION name_member(_session uuid, _version integer, _by text, _key uuid, _member text, _role text)
RETURNS TABLE (
    outcome text, epoch text, seq bigint, at bigint, kind text, sender text, key uuid, body jsonb
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    SELECT * INTO outcome, epoch, seq, at, kind, sender, key, body
      FROM change_session(_session, _version, 'session.role', _by, _key,
                          jsonb_build_object('user', _member, 'role', _role));
    IF outcome = 'new' AND _role = 'viewer' THEN
        DELETE FROM members WHERE session = _session AND member = _member;
    ELSIF outcome = 'new' THEN
        INSERT INTO members VALUES (_session, _member, _role)
        ON CONFLICT (session, member) DO UPDATE SET role = excluded.role;
    END IF;
    RETURN NEXT;
END $$;

-- Lets some users into a session, and others not any more; at most `_most` are let in. That is an event where it
-- changes anything: for the nodes, which tell clients nothing of the names. Gives besides who came to be allowed, and
-- who had asked for it. Outcomes likewise, and
--   same      nothing has changed
--   full      too many would be allowed: nothing has changed
CREATE FUNCTION change_guests(_session uuid, _by text, _allow text[], _remove text[], _most bigint)
RETURNS TABLE (
    outcome text, epoch text, seq bigint, at bigint, kind text, sender text, key uuid, body jsonb,
    allowed text[], removed text[], asked text[]
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _open boolean;
BEGIN
    SELECT open INTO _open FROM log_heads WHERE session = _session FOR UPDATE;
    IF _open IS NOT TRUE THEN
        outcome := CASE WHEN _open IS NULL THEN 'missing' ELSE 'closed' END;
        RETURN NEXT;
        RETURN;
    END IF;
    asked := ARRAY(SELECT g.member FROM guests g
                    WHERE g.session = _session AND g.member = ANY (_allow) AND g.standing = 'asked');
    allowed := ARRAY(SELECT DISTINCT m FROM unnest(_allow) m WHERE NOT EXISTS (
                     SELECT FROM guests g WHERE g.session = _session AND g.member = m AND g.standing = 'allowed'));
    removed := ARRAY(SELECT g.member FROM guests g
                      WHERE g.session = _session AND g.member = ANY (_remove) AND g.standing = 'allowed');
    IF cardinality(allowed) > 0 AND cardinality(allowed) - cardinality(removed) + (
        SELECT count(*) FROM guests g WHERE g.session = _session AND g.standing = 'allowed') > _most
    THEN
        outcome := 'full';
        RETURN NEXT;
        RETURN;
    END IF;
    DELETE FROM guests WHERE session = _session AND member = ANY (_remove);
    INSERT INTO guests SELECT _session, m, 'allowed', now_ms() FROM unnest(allowed) m
    ON CONFLICT (session, member) DO UPDATE SET standing = excluded.standing, at = excluded.at;
    outcome := 'same';
    IF cardinality(allowed) + cardinality(removed) > 0 THEN
        SELECT c.* INTO outcome, epoch, seq, at, kind, sender, key, body
          FROM change_session(_session, NULL, 'session.guests', _by, NULL,
                              jsonb_build_object('allowed', allowed, 'removed', removed)) c;
    END IF;
    RETURN NEXT;
END $$;

-- Takes note that a user asks to be let in, unless `_most` wait already; gives what the user's standing is now, and
-- since when. Nothing where too many wait.
CREATE FUNCTION ask_in(_session uuid, _member text, _most bigint)
RETURNS TABLE (standing text, at bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    -- In the same order as whoever answers, so that neither waits for the other in a circle.
    PERFORM FROM log_heads WHERE session = _session FOR UPDATE;
    INSERT INTO guests
    SELECT _session, _member, 'asked', now_ms()
     WHERE (SELECT count(*) FROM guests g WHERE g.session = _session AND g.standing = 'asked') < _most
    ON CONFLICT (session, member) DO NOTHING;
    RETURN QUERY SELECT g.standing, g.at FROM guests g WHERE g.session = _session AND g.member = _member;
END $$;
