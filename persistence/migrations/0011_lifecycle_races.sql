-- Leases of hosts, and the timers that follow from them, against transitions at the same moment. As before, but for the
-- lock on the session: neither can come between a transition and its end. Without it an ended session could keep a host
-- and a timer for good, and a timer that acts on a lost host could wait for a renewal that waited for that timer.
-- Functions here lock in one order: sessions, hosts, timers; what takes log_heads takes it first.

-- A host's connection is lost.
CREATE OR REPLACE FUNCTION unhost_session(_session uuid, _connection text) RETURNS void LANGUAGE sql AS $$
    SELECT FROM sessions WHERE id = _session FOR SHARE;
    UPDATE hosts SET until = least(until, now_ms()) WHERE session = _session AND connection = _connection;
    SELECT arm_lost(ARRAY[_session]);
$$;

-- Renews the leases of a node's connections of hosts; item n of each array makes one. Whoever is no host any more has
-- none to renew. Gives the sessions among them that are interrupted: their hosts are back.
CREATE OR REPLACE FUNCTION renew_hosts(
    _node text, _lease bigint, _sessions uuid[], _connections text[], _members text[], _devices text[]
) RETURNS SETOF uuid LANGUAGE plpgsql AS $$
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
    RETURN QUERY SELECT s.id FROM sessions s
      WHERE s.id = ANY (_sessions) AND s.state = 'interrupted' AND s.reason IS DISTINCT FROM 'host_left_channel'
        AND EXISTS (SELECT FROM hosts h WHERE h.session = s.id AND h.connection = ANY (_connections)
                       AND h.until > now_ms());
END $$;

-- A host has left the video channel of a session that is live, or is back in it. While another one broadcasts there,
-- nothing is missing.
CREATE OR REPLACE FUNCTION arm_video(_session uuid, _there boolean) RETURNS void LANGUAGE sql AS $$
    SELECT FROM sessions WHERE id = _session FOR SHARE;
    DELETE FROM timers WHERE _there AND session = _session AND kind = 'video';
    INSERT INTO timers (session, kind, due)
    SELECT id, 'video', now_ms() + (limits->>'grace')::bigint FROM sessions
     WHERE NOT _there AND id = _session AND state = 'live'
       AND NOT EXISTS (SELECT FROM agora_presence p JOIN agora_uids u ON u.session = p.session AND u.uid = p.uid
                        WHERE p.session = _session AND p.standing = 'broadcaster' AND is_host(_session, u.member))
    ON CONFLICT DO NOTHING;
$$;
