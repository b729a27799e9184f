-- Limits by rate that are other than the program's own: how often whoever has this role may do this.
CREATE TABLE rate_limits (
    action     text             NOT NULL,
    role       text             NOT NULL,
    -- A second, for long.
    rate       double precision NOT NULL CHECK (rate > 0 AND rate <= 1000000),
    -- At once.
    burst      integer          NOT NULL CHECK (burst BETWEEN 1 AND 1000000),
    changed_at bigint           NOT NULL DEFAULT now_ms(),
    changed_by text             NOT NULL,
    PRIMARY KEY (action, role)
);
