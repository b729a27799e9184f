-- Who was ever there, for how long each has watched, and the greatest audience of each session.

-- One row for each user who has ever joined a session. `watched_from` to `watched_until` is the stretch that was counted
-- last: what another node, or a repetition, says of the same time is not counted again.
-- No index but the key, and free space: a row of one who watches is rewritten every few seconds, on its page (HOT).
CREATE TABLE watch_times (
    session       uuid NOT NULL,
    member        text NOT NULL,
    first_at      bigint NOT NULL,
    last_at       bigint NOT NULL,
    watched_ms    bigint NOT NULL,
    watched_from  bigint NOT NULL,
    watched_until bigint NOT NULL,
    PRIMARY KEY (session, member)
) WITH (fillfactor = 80);

CREATE TABLE audience_peaks (
    session uuid PRIMARY KEY,
    users   integer NOT NULL,
    at      bigint NOT NULL
) WITH (fillfactor = 80);

-- Adds what a node has seen of users. All times are given as how many milliseconds ago that was: each was there from
-- `_since` to `_until`, and watched for `_watched` between `_began` and `_ended`. No two items are alike in session and member.
CREATE FUNCTION add_watch_times(
    _sessions uuid[], _members text[], _since bigint[], _until bigint[],
    _began bigint[], _ended bigint[], _watched bigint[]
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO watch_times AS w (session, member, first_at, last_at, watched_ms, watched_from, watched_until)
    SELECT i.session, i.member, n.now - i.since, n.now - i.until, i.watched, n.now - i.began,
           CASE WHEN i.watched > 0 THEN n.now - i.ended ELSE 0 END
      FROM (SELECT now_ms() AS now) n,
           unnest(_sessions, _members, _since, _until, _began, _ended, _watched)
               AS i (session, member, since, until, began, ended, watched)
     -- Two nodes with the same users lock their rows in the same order.
     ORDER BY i.session, i.member
    ON CONFLICT (session, member) DO UPDATE SET
        first_at = least(w.first_at, excluded.first_at),
        last_at = greatest(w.last_at, excluded.last_at),
        watched_ms = w.watched_ms + greatest(0, least(excluded.watched_ms,
            excluded.watched_until - greatest(w.watched_until, excluded.watched_from))),
        watched_from = excluded.watched_from,
        watched_until = greatest(w.watched_until, excluded.watched_until)
$$;

-- Takes note of how many users there were, and how many milliseconds ago.
CREATE FUNCTION add_peaks(_sessions uuid[], _users integer[], _ages bigint[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO audience_peaks AS p (session, users, at)
    SELECT i.session, i.users, n.now - i.age
      FROM (SELECT now_ms() AS now) n, unnest(_sessions, _users, _ages) AS i (session, users, age)
     ORDER BY i.session
    ON CONFLICT (session) DO UPDATE SET users = excluded.users, at = excluded.at WHERE excluded.users > p.users
$$;
