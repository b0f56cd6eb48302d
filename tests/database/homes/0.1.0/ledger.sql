BEGIN TRANSACTION;
CREATE TABLE alias (name TEXT PRIMARY KEY, written TEXT, writing TEXT);
INSERT INTO "alias" VALUES('champion','1','1');
CREATE TABLE challenger (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), version TEXT);
INSERT INTO "challenger" VALUES(1,'3');
CREATE TABLE change (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, action TEXT NOT NULL, version TEXT NOT NULL, previous TEXT,
    reason TEXT NOT NULL, at_us INTEGER NOT NULL);
INSERT INTO "change" VALUES(1,'promote','1',NULL,'first champion',86400000000);
INSERT INTO "change" VALUES(2,'promote','2','1','better',172800000000);
INSERT INTO "change" VALUES(3,'rollback','1','2','worse in production',259200000000);
CREATE TABLE identity (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), id TEXT NOT NULL);
INSERT INTO "identity" VALUES(1,'e65b06ef83834a20b3d2b0cbd1925a18');
CREATE TABLE seal (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), sha256 TEXT NOT NULL);
INSERT INTO "seal" VALUES(1,'346b7b016505:b37821e396e39e8983183cc7aecb426c11673a58a0fe69c9043903326b76d87d');
CREATE TABLE version (
    version TEXT PRIMARY KEY, metrics TEXT NOT NULL DEFAULT '{}', barred TEXT);
INSERT INTO "version" VALUES('1','{"auc": 0.75}',NULL);
INSERT INTO "version" VALUES('2','{"auc": 0.8}','worse in production');
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('change',3);
COMMIT;
PRAGMA user_version = 6;
