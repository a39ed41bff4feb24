-- What happened to seals, for ever: the status list tells it to verifiers. seals
-- has only the present state. What happened before this table is known by its
-- last change alone.
CREATE TABLE seal_states (
	seq   INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	id    TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('active', 'suspended', 'cancelled')),
	at    INTEGER NOT NULL
) STRICT;
INSERT INTO seal_states (id, state, at) SELECT id, state, changed FROM seals WHERE state <> 'active' ORDER BY changed, id;
CREATE TRIGGER seal_states_follow AFTER UPDATE OF state ON seals WHEN OLD.state <> NEW.state BEGIN
	INSERT INTO seal_states (id, state, at) VALUES (NEW.id, NEW.state, NEW.changed);
END;
CREATE TRIGGER seal_states_stay BEFORE DELETE ON seal_states BEGIN
	SELECT RAISE(ABORT, 'what happened to a seal is not taken away');
END;
CREATE TRIGGER seal_states_stand BEFORE UPDATE ON seal_states BEGIN
	SELECT RAISE(ABORT, 'what happened to a seal is not changed');
END;
