-- Users who are kept out, and the audit log.

-- Who did what to whom, when and from where. Nothing of it is ever changed or deleted. `key` names an entry, so that
-- one whose answer was lost can be sent again.
CREATE TABLE audit_log (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key     uuid NOT NULL UNIQUE,
    at      bigint NOT NULL,
    actor   text NOT NULL,
    action  text NOT NULL,
    subject text,
    session uuid,
    address text NOT NULL,
    details jsonb NOT NULL
);
CREATE INDEX audit_log_by_actor ON audit_log (actor, id);
CREATE INDEX audit_log_by_subject ON audit_log (subject, id);
CREATE INDEX audit_log_by_action ON audit_log (action, id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log EXECUTE FUNCTION refuse_change();
-- Also where a session asks for triggers to be left out, as a replica's does.
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER append_only;

-- Whether a user is frozen, since when, by whom and why. `version` is that of the change: nodes ask for what is newer.
CREATE TABLE freezes (
    member  text PRIMARY KEY,
    frozen  boolean NOT NULL,
    version bigint NOT NULL UNIQUE,
    at      bigint NOT NULL,
    by      text NOT NULL,
    reason  text NOT NULL
);

-- One row: the version of the last change. The row that a change locks, so that versions are committed in their order.
CREATE TABLE freeze_head (version bigint NOT NULL);
INSERT INTO freeze_head VALUES (0);

-- Adds entries to the audit log, each once, with how long ago each was, in milliseconds. Item n of each array makes one.
CREATE FUNCTION append_audit(
    _keys uuid[], _ages bigint[], _actors text[], _actions text[], _subjects text[], _sessions uuid[],
    _addresses text[], _details jsonb[]
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO audit_log (key, at, actor, action, subject, session, address, details)
    SELECT i.key, now_ms() - i.age, i.actor, i.action, i.subject, i.session, i.address, i.details
      FROM unnest(_keys, _ages, _actors, _actions, _subjects, _sessions, _addresses, _details)
           WITH ORDINALITY AS i (key, age, actor, action, subject, session, address, details, ordinal)
     ORDER BY i.ordinal
        ON CONFLICT (key) DO NOTHING
$$;

-- Freezes or unfreezes a user, and writes that down; gives what stands from now on, and whether that is new.
CREATE FUNCTION set_frozen(_member text, _frozen boolean, _by text, _reason text, _address text)
RETURNS TABLE (changed boolean, frozen boolean, at bigint, by text, reason text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _version bigint;
    _new     boolean;
BEGIN
    UPDATE freeze_head SET version = version + 1 RETURNING version INTO _version;
    -- Of whoever was never frozen there is nothing to end.
    INSERT INTO freezes AS f
    SELECT _member, _frozen, _version, now_ms(), _by, _reason
     WHERE _frozen OR EXISTS (SELECT FROM freezes k WHERE k.member = _member)
    ON CONFLICT (member) DO UPDATE
       SET frozen = excluded.frozen, version = excluded.version, at = excluded.at, by = excluded.by,
           reason = excluded.reason
     WHERE f.frozen <> excluded.frozen;
    _new := FOUND;
    IF _new THEN
        PERFORM append_audit(ARRAY[gen_random_uuid()], ARRAY[0], ARRAY[_by],
                             ARRAY[CASE WHEN _frozen THEN 'user.freeze' ELSE 'user.unfreeze' END],
                             ARRAY[_member], ARRAY[NULL::uuid], ARRAY[_address],
                             ARRAY[jsonb_build_object('reason', _reason)]);
    END IF;
    RETURN QUERY SELECT _new, f.frozen, f.at, f.by, f.reason FROM freezes f WHERE f.member = _member;
    IF NOT FOUND THEN
        RETURN QUERY SELECT false, false, NULL::bigint, NULL, NULL;
    END IF;
END $$;
