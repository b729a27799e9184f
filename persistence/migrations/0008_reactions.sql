-- How often each kind of reaction was sent in each session.
CREATE TABLE reactions (
    session uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    kind    text NOT NULL,
    total   bigint NOT NULL,
    PRIMARY KEY (session, kind)
);

-- The last batch of each node that was added. A node that got no answer sends the same batch again.
CREATE TABLE reaction_batches (
    node  text PRIMARY KEY,
    batch bigint NOT NULL,
    at    bigint NOT NULL
);

-- Adds what a node has counted since its batch before, once, however often that batch is sent. Item n of each array
-- is one kind of reaction in one session; no two items may have both in common. Sessions that don't exist are left
-- out, and so are kinds that are new to a session which has `_most` or more.
CREATE FUNCTION add_reactions(
    _node text, _batch bigint, _sessions uuid[], _kinds text[], _counts bigint[], _most integer
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO reaction_batches AS b VALUES (_node, _batch, now_ms())
        ON CONFLICT (node) DO UPDATE SET batch = excluded.batch, at = excluded.at WHERE b.batch < excluded.batch;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO reactions AS r (session, kind, total)
    SELECT i.session, i.kind, i.count
      FROM unnest(_sessions, _kinds, _counts) AS i (session, kind, count)
      JOIN sessions s ON s.id = i.session
     WHERE (SELECT count(*) FROM reactions k WHERE k.session = i.session) < _most
        OR EXISTS (SELECT FROM reactions k WHERE k.session = i.session AND k.kind = i.kind)
     -- In one order, so that batches never wait for each other in a circle.
     ORDER BY i.session, i.kind
        ON CONFLICT (session, kind) DO UPDATE SET total = r.total + excluded.total;
    -- Nodes have other names after each start. What is in use is not old, and what another deletes is its business.
    DELETE FROM reaction_batches WHERE node IN
        (SELECT node FROM reaction_batches WHERE at < now_ms() - 86400000 FOR UPDATE SKIP LOCKED);
END $$;
