-- Version 4 of the store: the file of version 3, as the code of version 4 opened it, and a row of its new table.
BEGIN TRANSACTION;
CREATE TABLE alerts (
        scope TEXT NOT NULL,
        window TEXT NOT NULL,
        percent INTEGER NOT NULL,
        PRIMARY KEY (scope, window, percent)
    ) WITHOUT ROWID
    ;
INSERT INTO "alerts" VALUES('anthropic','total/500000000000',75);
CREATE TABLE answer_sums (size INTEGER NOT NULL);
INSERT INTO "answer_sums" VALUES(562);
CREATE TABLE answers (
        key TEXT PRIMARY KEY,
        made REAL NOT NULL,
        used REAL NOT NULL,
        hits INTEGER NOT NULL DEFAULT 0,
        backend TEXT NOT NULL,
        model TEXT NOT NULL,
        size INTEGER NOT NULL,
        checksum BLOB NOT NULL,
        events BLOB NOT NULL
    );
INSERT INTO "answers" VALUES('a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1',1795262400.0,1795262400.0,1,'groq','llama',562,X'1A7999389824D31CFB883237FA8D06A05452F99B44FE24FC5137D644B4496CA8',X'7B2276223A312C226576656E7473223A5B5B2273746172746564222C2267726F71222C226C6C616D61222C2269642D31225D2C5B22726561736F6E696E67222C22486D222C22222C6E756C6C2C305D2C5B2274657874222C22476F6F6420646179225D2C5B2266696E6973686564222C2273746F70222C2273746F70222C7B22696E7075745F746F6B656E73223A372C226F75747075745F746F6B656E73223A322C2263616368655F726561645F746F6B656E73223A302C2263616368655F77726974655F746F6B656E73223A302C22726561736F6E696E675F746F6B656E73223A302C22657374696D61746564223A66616C73652C22636F7374223A22302E35227D5D5D7D');
CREATE TABLE audit (
        id INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        who TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        before TEXT,
        after TEXT
    );
INSERT INTO "audit" VALUES(1,1795262400.0,'ann (sudo: bob)','budget','budget.limit',NULL,'1');
INSERT INTO "audit" VALUES(2,1795262400.0,'ann (sudo: bob)','secret','anthropic',NULL,'["https://api.anthropic.com"]');
CREATE TABLE calls (
        id INTEGER PRIMARY KEY,
        day TEXT NOT NULL,
        began REAL NOT NULL,
        session TEXT NOT NULL,
        role TEXT NOT NULL,
        backend TEXT NOT NULL,
        model TEXT NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL DEFAULT 0,
        cache_read_tokens INTEGER NOT NULL DEFAULT 0,
        cache_write_tokens INTEGER NOT NULL DEFAULT 0,
        reasoning_tokens INTEGER NOT NULL DEFAULT 0,
        counted TEXT NOT NULL DEFAULT 'estimated',
        cost INTEGER,
        latency_ms REAL,
        first_token_ms REAL,
        outcome TEXT NOT NULL DEFAULT 'pending',
        error TEXT NOT NULL DEFAULT '',
        retries INTEGER NOT NULL DEFAULT 0,
        floor INTEGER,
        reserved INTEGER NOT NULL DEFAULT 0,
        process INTEGER NOT NULL DEFAULT 0,
        expires REAL NOT NULL DEFAULT 0
    );
INSERT INTO "calls" VALUES(1,'2026-11-21',1795262400.0,'75eee737','llm','anthropic','claude-sonnet-4-5',120,30,100,10,12,'reported',400000000000,900.0,300.0,'complete','',0,NULL,0,0,0.0);
INSERT INTO "calls" VALUES(2,'2026-11-21',1795262400.0,'75eee737','indexing','ollama','llama3:8b',9,3,0,0,0,'estimated',1000000000,50.0,NULL,'interrupted','stopped',1,NULL,0,0,0.0);
INSERT INTO "calls" VALUES(3,'2026-11-21',1795262400.0,'75eee737','llm','anthropic','claude-sonnet-4-5',5,6,0,0,0,'reported',0,1.0,NULL,'cached','',0,NULL,0,0,0.0);
INSERT INTO "calls" VALUES(4,'2026-11-21',1795262400.0,'75eee737','llm','anthropic','claude-sonnet-4-5',100,0,0,0,0,'estimated',NULL,NULL,NULL,'pending','',0,300000000,15300000000,4194305,8600.0);
CREATE TABLE circuits (
        backend TEXT PRIMARY KEY,
        failures INTEGER NOT NULL,
        failed REAL NOT NULL,
        failed_before REAL,
        opened REAL,
        seconds REAL NOT NULL,
        probed REAL,
        process INTEGER NOT NULL DEFAULT 0,
        reason TEXT NOT NULL
    ) WITHOUT ROWID
    ;
INSERT INTO "circuits" VALUES('groq',1,5000.0,NULL,NULL,30.0,NULL,0,'server');
INSERT INTO "circuits" VALUES('ollama',3,5000.0,5000.0,5000.0,30.0,NULL,0,'connection');
CREATE TABLE learned (
        backend TEXT NOT NULL,
        address TEXT NOT NULL,
        model TEXT NOT NULL,
        parameter TEXT NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (backend, address, model, parameter)
    ) WITHOUT ROWID
    ;
INSERT INTO "learned" VALUES('groq','https://api.groq.com/openai/v1','llama','temperature',1795262400.0);
CREATE TABLE messages (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        turn INTEGER NOT NULL,
        position INTEGER NOT NULL,
        role TEXT NOT NULL,
        status TEXT NOT NULL,
        written REAL NOT NULL,
        message TEXT NOT NULL,
        text TEXT NOT NULL,
        backend TEXT NOT NULL,
        model TEXT NOT NULL,
        finish_reason TEXT NOT NULL,
        raw_finish_reason TEXT NOT NULL,
        usage TEXT,
        cost TEXT,
        searchable INTEGER NOT NULL DEFAULT 0,
        UNIQUE (session, turn, position)
    );
INSERT INTO "messages" VALUES(1,'75eee737',1,0,'user','complete',1795262401.0,'{"v":1,"role":"user","parts":[{"type":"text","text":"Which tea grows best? \u2615"},{"type":"image","data":"iVBORw0KGgouLi4u","media_type":"image/png","url":""}],"metadata":{}}','Which tea grows best? ☕','anthropic','claude-sonnet-4-5','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(2,'75eee737',1,1,'assistant','complete',1795262403.0,'{"v":1,"role":"assistant","parts":[{"type":"text","text":"Assam."},{"type":"reasoning","text":"Hm, it is wet there.","signature":"c2lnbmVk","item":null,"owner":"anthropic"}],"metadata":{}}','Assam.','anthropic','claude-sonnet-4-5','stop','end_turn','{"input_tokens": 120, "output_tokens": 30, "cache_read_tokens": 100, "cache_write_tokens": 10, "reasoning_tokens": 12, "estimated": false, "cost": null}','0.00123',0);
INSERT INTO "messages" VALUES(3,'75eee737',2,0,'user','complete',1795262405.0,'{"v":1,"role":"user","parts":[{"type":"text","text":"What is the weather there?"}],"metadata":{}}','What is the weather there?','ollama','llama3:8b','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(4,'75eee737',2,1,'assistant','partial',1795262407.0,'{"v":1,"role":"assistant","parts":[{"type":"text","text":"Let me look."},{"type":"tool_call","id":"call_1","name":"weather","arguments":"{\"place\": \"Assam\"}"}],"metadata":{}}','Let me look.','ollama','llama3:8b','tool_calls','end_turn',NULL,NULL,0);
INSERT INTO "messages" VALUES(5,'75eee737',2,2,'tool','complete',1795262408.0,'{"v":1,"role":"tool","parts":[{"type":"tool_result","call_id":"call_1","content":[{"type":"text","text":"rain"},{"type":"image","data":"iVBORw0KGgouLi4u","media_type":"image/png","url":""}],"name":"weather","is_error":false}],"metadata":{}}','','ollama','llama3:8b','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(6,'75eee737',2,3,'assistant','complete',1795262409.0,'{"v":1,"role":"assistant","parts":[{"type":"text","text":"It rains."}],"metadata":{}}','It rains.','ollama','llama3:8b','stop','end_turn','{"input_tokens": 50, "output_tokens": 5, "cache_read_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0, "estimated": true, "cost": null}',NULL,0);
INSERT INTO "messages" VALUES(7,'75eee737',3,0,'user','complete',1795262411.0,'{"v":1,"role":"user","parts":[{"type":"text","text":"And how is it"}],"metadata":{}}','And how is it','anthropic','claude-sonnet-4-5','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(8,'75eee737',3,1,'assistant','incomplete',1795262413.0,'{"v":1,"role":"assistant","parts":[{"type":"text","text":"It brea"}],"metadata":{"partial":"interrupted","error":"it broke off"}}','It brea','anthropic','claude-sonnet-4-5','unknown','end_turn','{"input_tokens": 7, "output_tokens": 2, "cache_read_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0, "estimated": true, "cost": null}',NULL,0);
INSERT INTO "messages" VALUES(9,'be02f1ac',1,0,'user','complete',1795262401.0,'{"v":1,"role":"user","parts":[{"type":"text","text":"Which tea grows best? \u2615"},{"type":"image","data":"iVBORw0KGgouLi4u","media_type":"image/png","url":""}],"metadata":{}}','Which tea grows best? ☕','anthropic','claude-sonnet-4-5','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(10,'be02f1ac',1,1,'assistant','complete',1795262403.0,'{"v":1,"role":"assistant","parts":[{"type":"text","text":"Assam."},{"type":"reasoning","text":"Hm, it is wet there.","signature":"c2lnbmVk","item":null,"owner":"anthropic"}],"metadata":{}}','Assam.','anthropic','claude-sonnet-4-5','stop','end_turn','{"input_tokens": 120, "output_tokens": 30, "cache_read_tokens": 100, "cache_write_tokens": 10, "reasoning_tokens": 12, "estimated": false, "cost": null}','0.00123',0);
INSERT INTO "messages" VALUES(11,'be02f1ac',2,0,'user','complete',1795262405.0,'{"v":1,"role":"user","parts":[{"type":"text","text":"What is the weather there?"}],"metadata":{}}','What is the weather there?','ollama','llama3:8b','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(12,'be02f1ac',2,1,'assistant','partial',1795262407.0,'{"v":1,"role":"assistant","parts":[{"type":"text","text":"Let me look."},{"type":"tool_call","id":"call_1","name":"weather","arguments":"{\"place\": \"Assam\"}"}],"metadata":{}}','Let me look.','ollama','llama3:8b','tool_calls','end_turn',NULL,NULL,0);
INSERT INTO "messages" VALUES(13,'be02f1ac',2,2,'tool','complete',1795262408.0,'{"v":1,"role":"tool","parts":[{"type":"tool_result","call_id":"call_1","content":[{"type":"text","text":"rain"},{"type":"image","data":"iVBORw0KGgouLi4u","media_type":"image/png","url":""}],"name":"weather","is_error":false}],"metadata":{}}','','ollama','llama3:8b','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(14,'be02f1ac',2,3,'assistant','complete',1795262409.0,'{"v":1,"role":"assistant","parts":[{"type":"text","text":"It rains."}],"metadata":{}}','It rains.','ollama','llama3:8b','stop','end_turn','{"input_tokens": 50, "output_tokens": 5, "cache_read_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0, "estimated": true, "cost": null}',NULL,0);
INSERT INTO "messages" VALUES(15,'be02f1ac',3,0,'user','complete',1795262416.0,'{"v":1,"role":"user","parts":[{"type":"text","text":"No, coffee"}],"metadata":{}}','No, coffee','anthropic','claude-sonnet-4-5','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(16,'be02f1ac',3,1,'assistant','error',1795262418.0,'{"v":1,"role":"assistant","parts":[],"metadata":{"partial":"quota","error":"No quota left"}}','','anthropic','claude-sonnet-4-5','unknown','end_turn',NULL,NULL,0);
INSERT INTO "messages" VALUES(17,'2f18df1f',1,0,'user','complete',1795262421.0,'{"v":1,"role":"user","parts":[{"type":"text","text":"precious words"}],"metadata":{}}','precious words','ollama','llama3:8b','','',NULL,NULL,0);
CREATE TABLE paces (
        backend TEXT PRIMARY KEY,
        requests_left INTEGER,
        requests_reset REAL,
        tokens_left INTEGER,
        tokens_reset REAL,
        closed_until REAL
    ) WITHOUT ROWID
    ;
INSERT INTO "paces" VALUES('anthropic',NULL,NULL,NULL,NULL,5020.0);
INSERT INTO "paces" VALUES('groq',0,5012.5,300,5002.0,NULL);
CREATE TABLE permit_sums (
        backend TEXT PRIMARY KEY,
        permits INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        held INTEGER NOT NULL
    ) WITHOUT ROWID
    ;
INSERT INTO "permit_sums" VALUES('groq',2,850,1);
CREATE TABLE permits (
        id INTEGER PRIMARY KEY,
        backend TEXT NOT NULL,
        taken REAL NOT NULL,
        tokens INTEGER NOT NULL,
        process INTEGER NOT NULL,
        held INTEGER NOT NULL
    );
INSERT INTO "permits" VALUES(1,'groq',5000.0,500,1,1);
INSERT INTO "permits" VALUES(2,'groq',5000.0,350,1,0);
CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        name TEXT UNIQUE,
        title TEXT NOT NULL,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        backend TEXT NOT NULL,
        model TEXT NOT NULL,
        system TEXT NOT NULL,
        parent TEXT REFERENCES sessions (id) ON DELETE SET NULL,
        branched_at INTEGER,
        summary TEXT NOT NULL DEFAULT '',
        summarised INTEGER NOT NULL DEFAULT 0,
        usage TEXT NOT NULL,
        cost TEXT
    );
INSERT INTO "sessions" VALUES('75eee737','tea','Which tea grows best?',1795262400.0,1795262414.0,'anthropic','claude-sonnet-4-5','Be brief.',NULL,NULL,'They spoke of tea.',1,'{"input_tokens": 177, "output_tokens": 37, "cache_read_tokens": 100, "cache_write_tokens": 10, "reasoning_tokens": 12, "estimated": true, "cost": null}','0.00123');
INSERT INTO "sessions" VALUES('be02f1ac',NULL,'Which tea grows best?',1795262415.0,1795262419.0,'anthropic','claude-sonnet-4-5','Be brief.','75eee737',2,'They spoke of tea.',1,'{"input_tokens": 0, "output_tokens": 0, "cache_read_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0, "estimated": false, "cost": null}',NULL);
INSERT INTO "sessions" VALUES('2f18df1f',NULL,'precious words',1795262420.0,1795262422.0,'ollama','llama3:8b','',NULL,NULL,'',0,'{"input_tokens": 0, "output_tokens": 0, "cache_read_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0, "estimated": false, "cost": null}',NULL);
CREATE TABLE spending (
        day TEXT NOT NULL,
        backend TEXT NOT NULL,
        cost INTEGER NOT NULL,
        PRIMARY KEY (day, backend)
    ) WITHOUT ROWID
    ;
INSERT INTO "spending" VALUES('2026-11-21','anthropic',400000000000);
INSERT INTO "spending" VALUES('2026-11-21','ollama',1000000000);
CREATE TABLE uptime (backend TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
INSERT INTO "uptime" VALUES('ollama',110.0);
CREATE INDEX sessions_by_age ON sessions (updated);
CREATE INDEX sessions_by_parent ON sessions (parent);
CREATE INDEX messages_to_index ON messages (id) WHERE NOT searchable;
CREATE INDEX calls_by_day ON calls (day);
CREATE INDEX calls_by_session ON calls (session) WHERE session <> '';
CREATE INDEX calls_pending ON calls (backend, reserved) WHERE outcome = 'pending';
CREATE INDEX permits_by_backend ON permits (backend, taken);
CREATE INDEX permits_held ON permits (backend) WHERE held = 1;
CREATE INDEX answers_by_use ON answers (used, size);
CREATE INDEX answers_by_age ON answers (made);
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
    BEGIN SELECT raise(ABORT, 'the audit log is only ever added to'); END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
    BEGIN SELECT raise(ABORT, 'the audit log is only ever added to'); END;
CREATE TRIGGER audit_is_never_replaced BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
    BEGIN SELECT raise(ABORT, 'the audit log is only ever added to'); END;
CREATE TRIGGER permit_is_taken AFTER INSERT ON permits BEGIN
        INSERT INTO permit_sums VALUES (NEW.backend, 1, NEW.tokens, NEW.held)
        ON CONFLICT (backend) DO UPDATE SET
            permits = permits + 1, tokens = tokens + excluded.tokens, held = held + excluded.held;
    END;
CREATE TRIGGER permit_is_settled AFTER UPDATE OF tokens, held ON permits BEGIN
        UPDATE permit_sums SET tokens = tokens + NEW.tokens - OLD.tokens, held = held + NEW.held - OLD.held
        WHERE backend = NEW.backend;
    END;
CREATE TRIGGER permit_is_removed AFTER DELETE ON permits BEGIN
        UPDATE permit_sums SET permits = permits - 1, tokens = tokens - OLD.tokens, held = held - OLD.held
        WHERE backend = OLD.backend;
    END;
CREATE TRIGGER answer_is_added AFTER INSERT ON answers
    BEGIN UPDATE answer_sums SET size = size + NEW.size; END;
CREATE TRIGGER answer_is_replaced AFTER UPDATE OF size ON answers
    BEGIN UPDATE answer_sums SET size = size + NEW.size - OLD.size; END;
CREATE TRIGGER answer_is_removed AFTER DELETE ON answers
    BEGIN UPDATE answer_sums SET size = size - OLD.size; END;
COMMIT;
PRAGMA user_version = 4;
