-- Policy bundles that went into force. The highest sequence is the last one:
-- nothing older, and nothing beside it, is activated again.
CREATE TABLE policy_activations (
	sequence INTEGER NOT NULL PRIMARY KEY CHECK (sequence > 0),
	name     TEXT NOT NULL,
	digest   BLOB NOT NULL CHECK (length(digest) = 32),
	at       INTEGER NOT NULL
) STRICT;
