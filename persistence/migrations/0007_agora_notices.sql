-- Who is in a session's video channel, as Agora's notices say.

-- For each user the latest notice, by (client_seq, ts, event), and what it says: `standing`. `told` is what those
-- whom it concerns were last told of it: where it differs, they are to be told.
CREATE TABLE agora_presence (
    session    uuid NOT NULL,
    uid        bigint NOT NULL,
    client_seq bigint NOT NULL,
    ts         bigint NOT NULL,
    event      integer NOT NULL,
    standing   text NOT NULL,
    told       text,
    PRIMARY KEY (session, uid),
    FOREIGN KEY (session, uid) REFERENCES agora_uids (session, uid) ON DELETE CASCADE
);

-- The notices that were taken, for as long as they may come again.
CREATE TABLE agora_notices (
    session uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    id      text NOT NULL,
    at      bigint NOT NULL,
    PRIMARY KEY (session, id)
);
CREATE INDEX agora_notices_by_time ON agora_notices (at);

-- Takes a batch of notices. Item n of each array makes one. Outcomes, by ordinal:
--   applied    it is the latest of its user by now
--   duplicate  its id is known: it changes nothing
--   stale      something later is known: it changes nothing
--   ignored    there is no such session or user, or the session has ended
-- With it comes who the user is, and whether a host, the session's state, what was told of the user last, and what the user is
-- now. Of a viewer the caller tells all it gets; what it tells of a host it confirms, in `told`, so that a
-- repetition finds what was left untold.
-- `realtime/domain/agora.py` has the same comparison, and explains it.
-- Rows are found by their keys, one by one: plans are kept from when the tables were empty, and reading all of
-- `agora_presence` for each notice made a batch of 256 take 200 ms at 6,000 rows, instead of 15.
CREATE FUNCTION take_agora_notices(
    _sessions uuid[], _ids text[], _uids bigint[], _client_seqs bigint[], _times bigint[], _events integer[],
    _standings text[]
) RETURNS TABLE (ordinal bigint, outcome text, member text, hosts boolean, state text, told text, standing text)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    _item     record;
    _who      record;
    _outcome  text;
    _told     text;
    _standing text;
BEGIN
    -- In one order, so that batches never wait for each other in a circle. Each statement below begins after the
    -- lock, and sees what the batches before have done.
    PERFORM FROM (SELECT DISTINCT w.session, w.uid FROM unnest(_sessions, _uids) AS w (session, uid) ORDER BY 1, 2) w,
         LATERAL (SELECT FROM agora_uids u WHERE u.session = w.session AND u.uid = w.uid FOR NO KEY UPDATE) locked;
    FOR _item IN
        SELECT * FROM unnest(_sessions, _ids, _uids, _client_seqs, _times, _events, _standings)
               WITH ORDINALITY AS i (session, id, uid, client_seq, ts, event, standing, ordinal)
    LOOP
        _outcome := 'ignored'; _told := NULL; _standing := NULL;
        SELECT u.member, is_host(s.id, u.member) AS hosts, s.state INTO _who FROM agora_uids u JOIN sessions s ON s.id = u.session
         WHERE u.session = _item.session AND u.uid = _item.uid;
        IF _who.state <> 'ended' THEN
            SELECT p.told INTO _told FROM agora_presence p WHERE p.session = _item.session AND p.uid = _item.uid;
            INSERT INTO agora_notices VALUES (_item.session, _item.id, now_ms()) ON CONFLICT DO NOTHING;
            IF FOUND THEN
                INSERT INTO agora_presence AS p
                VALUES (_item.session, _item.uid, _item.client_seq, _item.ts, _item.event, _item.standing,
                        CASE WHEN NOT _who.hosts THEN _item.standing END)
                ON CONFLICT (session, uid) DO UPDATE
                   SET client_seq = excluded.client_seq, ts = excluded.ts, event = excluded.event,
                       standing = excluded.standing, told = coalesce(excluded.told, p.told)
                 WHERE (p.client_seq, p.ts, p.event) < (excluded.client_seq, excluded.ts, excluded.event);
                _outcome := CASE WHEN FOUND THEN 'applied' ELSE 'stale' END;
            ELSE
                _outcome := 'duplicate';
            END IF;
            SELECT p.standing INTO _standing FROM agora_presence p
             WHERE p.session = _item.session AND p.uid = _item.uid;
        END IF;
        RETURN QUERY SELECT _item.ordinal, _outcome, _who.member, _who.hosts, _who.state, _told, _standing;
    END LOOP;
END $$;

-- A host has left the video channel of a session that is live, or is back in it. While another one broadcasts there,
-- nothing is missing.
CREATE FUNCTION arm_video(_session uuid, _there boolean) RETURNS void LANGUAGE sql AS $$
    SELECT FROM sessions WHERE id = _session FOR SHARE;
    DELETE FROM timers WHERE _there AND session = _session AND kind = 'video';
    INSERT INTO timers (session, kind, due)
    SELECT id, 'video', now_ms() + (limits->>'grace')::bigint FROM sessions
     WHERE NOT _there AND id = _session AND state = 'live'
       AND NOT EXISTS (SELECT FROM agora_presence p JOIN agora_uids u ON u.session = p.session AND u.uid = p.uid
                        WHERE p.session = _session AND p.standing = 'broadcaster' AND is_host(_session, u.member))
    ON CONFLICT DO NOTHING;
$$;
