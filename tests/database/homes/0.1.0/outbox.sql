BEGIN TRANSACTION;
CREATE TABLE acknowledgement (
    decision_id TEXT NOT NULL, who TEXT NOT NULL, note TEXT NOT NULL, at_us INTEGER NOT NULL,
    PRIMARY KEY (decision_id, at_us, who));
INSERT INTO "acknowledgement" VALUES('9c7f7502443294a7','Ada','seen',40);
CREATE TABLE alert (
    id TEXT PRIMARY KEY, decision_id TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL, level TEXT NOT NULL,
    at_us INTEGER NOT NULL, links TEXT NOT NULL, put_us INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    next_us INTEGER NOT NULL, last_error TEXT, delivered_us INTEGER);
INSERT INTO "alert" VALUES('7b','4ad1fb7b48061462','b','','warning',0,'{}',7,0,7,NULL,NULL);
INSERT INTO "alert" VALUES('14b','9c7f7502443294a7','b','','warning',0,'{}',14,0,14,NULL,NULL);
INSERT INTO "alert" VALUES('14a','9c7f7502443294a7','a','','warning',0,'{}',30,0,30,NULL,NULL);
CREATE TABLE decision (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, end_us INTEGER NOT NULL, body TEXT NOT NULL, put_us INTEGER NOT NULL,
    holder TEXT, token INTEGER NOT NULL DEFAULT 0, until_us INTEGER, last_error TEXT,
    outcome TEXT, outcome_reason TEXT NOT NULL DEFAULT '', version TEXT, finished_us INTEGER);
INSERT INTO "decision" VALUES('4ad1fb7b48061462','retrain',604800000000,'{"age_us": null, "censored": 0, "champion": "1", "confirmed": [], "costs": {}, "drifted": [{"about": "quality", "broken": false, "cost": null, "cost_error": 0.0, "effect": 0.06, "floor": 0.0, "name": "auc", "note": "", "origin": "", "p_value": 1.0, "test": "", "weight": null}], "end_us": 604800000000, "escalated": false, "id": "4ad1fb7b48061462", "impact": [], "judged": 20, "kind": "retrain", "links": {}, "mature": 0, "measured": true, "new_rows": null, "predecessor": null, "predecessor_worth": null, "problem": "shop", "reason": "auc is worse by 0.06 on matured labels", "reselect": false, "rollback_to": null, "rows": 0, "shadow_us": null, "start_us": 0, "topics": ["quality:auc"], "worth": null}',7,NULL,0,NULL,NULL,NULL,'',NULL,NULL);
INSERT INTO "decision" VALUES('9c7f7502443294a7','retrain',1209600000000,'{"age_us": null, "censored": 0, "champion": "1", "confirmed": [], "costs": {}, "drifted": [{"about": "quality", "broken": false, "cost": null, "cost_error": 0.0, "effect": 0.06, "floor": 0.0, "name": "auc", "note": "", "origin": "", "p_value": 1.0, "test": "", "weight": null}], "end_us": 1209600000000, "escalated": false, "id": "9c7f7502443294a7", "impact": [], "judged": 20, "kind": "retrain", "links": {}, "mature": 0, "measured": true, "new_rows": null, "predecessor": null, "predecessor_worth": null, "problem": "shop", "reason": "auc is worse by 0.06 on matured labels", "reselect": false, "rollback_to": null, "rows": 0, "shadow_us": null, "start_us": 0, "topics": ["quality:auc"], "worth": null}',14,'worker',1,120000020,NULL,'promoted','better','2',30);
CREATE TABLE delivery (
    alert_id TEXT NOT NULL, receiver TEXT NOT NULL, at_us INTEGER NOT NULL, PRIMARY KEY (alert_id, receiver));
CREATE TABLE seal (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), sha256 TEXT NOT NULL);
INSERT INTO "seal" VALUES(1,'e0a21891b52c:e46e52bc5723acc4f9877d0ac6f20350ba3a82dd77777055794b3e93c7cffd67');
COMMIT;
PRAGMA user_version = 5;
