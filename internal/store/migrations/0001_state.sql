-- Nonces of signed calls, each at least until its end (ns since 1970).
CREATE TABLE nonces (
	app   TEXT NOT NULL,
	nonce TEXT NOT NULL,
	until INTEGER NOT NULL,
	PRIMARY KEY (app, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_until ON nonces (until);

-- Seals. A row pins the key, its version and the signer certificate for ever;
-- only the state changes.
CREATE TABLE seals (
	name        TEXT NOT NULL PRIMARY KEY,
	id          TEXT NOT NULL UNIQUE,
	esl         BLOB NOT NULL,
	key_name    TEXT NOT NULL,
	key_version INTEGER NOT NULL CHECK (key_version > 0),
	certificate BLOB NOT NULL,
	state       TEXT NOT NULL CHECK (state IN ('active', 'suspended', 'cancelled')),
	created     INTEGER NOT NULL,
	changed     INTEGER NOT NULL
) STRICT;

-- Uses of seals. (caller, key) is the claim of idempotency.
CREATE TABLE seal_uses (
	id           TEXT NOT NULL PRIMARY KEY,
	caller       TEXT NOT NULL,
	key          TEXT NOT NULL,
	request_sm3  BLOB NOT NULL CHECK (length(request_sm3) = 32),
	document_sm3 BLOB NOT NULL CHECK (length(document_sm3) = 32),
	seal         TEXT NOT NULL,
	begun        INTEGER NOT NULL,
	finished     INTEGER,
	seal_id      TEXT,
	result_sm3   BLOB CHECK (result_sm3 IS NULL OR length(result_sm3) = 32),
	document     BLOB,
	UNIQUE (caller, key),
	CHECK ((finished IS NULL) = (result_sm3 IS NULL) AND (finished IS NULL) = (seal_id IS NULL)),
	CHECK (finished IS NOT NULL OR document IS NULL)
) STRICT;
CREATE INDEX seal_uses_begun ON seal_uses (begun);
