-- Version 1 of the store, as arawn at commit fa34ba0 wrote it.
BEGIN TRANSACTION;
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
INSERT INTO "messages" VALUES(1,'4ee3ae71',1,0,'user','complete',1795262401.0,'{"v":1,"role":"user","parts":[{"type":"text","text":"Which tea grows best? \u2615"},{"type":"image","data":"iVBORw0KGgouLi4u","media_type":"image/png","url":""}],"metadata":{}}','Which tea grows best? ☕','anthropic','claude-sonnet-4-5','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(2,'4ee3ae71',1,1,'assistant','complete',1795262403.0,'{"v":1,"role":"assistant","parts":[{"type":"text","text":"Assam."},{"type":"reasoning","text":"Hm, it is wet there.","signature":"c2lnbmVk","item":null,"owner":"anthropic"}],"metadata":{}}','Assam.','anthropic','claude-sonnet-4-5','stop','end_turn','{"input_tokens": 120, "output_tokens": 30, "cache_read_tokens": 100, "cache_write_tokens": 10, "reasoning_tokens": 12, "estimated": false, "cost": null}','0.00123',0);
INSERT INTO "messages" VALUES(3,'4ee3ae71',2,0,'user','complete',1795262405.0,'{"v":1,"role":"user","parts":[{"type":"text","text":"What is the weather there?"}],"metadata":{}}','What is the weather there?','ollama','llama3:8b','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(4,'4ee3ae71',2,1,'assistant','partial',1795262407.0,'{"v":1,"role":"assistant","parts":[{"type":"text","text":"Let me look."},{"type":"tool_call","id":"call_1","name":"weather","arguments":"{\"place\": \"Assam\"}"}],"metadata":{}}','Let me look.','ollama','llama3:8b','tool_calls','end_turn',NULL,NULL,0);
INSERT INTO "messages" VALUES(5,'4ee3ae71',2,2,'tool','complete',1795262408.0,'{"v":1,"role":"tool","parts":[{"type":"tool_result","call_id":"call_1","content":[{"type":"text","text":"rain"},{"type":"image","data":"iVBORw0KGgouLi4u","media_type":"image/png","url":""}],"name":"weather","is_error":false}],"metadata":{}}','','ollama','llama3:8b','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(6,'4ee3ae71',2,3,'assistant','complete',1795262409.0,'{"v":1,"role":"assistant","parts":[{"type":"text","text":"It rains."}],"metadata":{}}','It rains.','ollama','llama3:8b','stop','end_turn','{"input_tokens": 50, "output_tokens": 5, "cache_read_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0, "estimated": true, "cost": null}',NULL,0);
INSERT INTO "messages" VALUES(7,'4ee3ae71',3,0,'user','complete',1795262411.0,'{"v":1,"role":"user","parts":[{"type":"text","text":"And how is it"}],"metadata":{}}','And how is it','anthropic','claude-sonnet-4-5','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(8,'4ee3ae71',3,1,'assistant','incomplete',1795262413.0,'{"v":1,"role":"assistant","parts":[{"type":"text","text":"It brea"}],"metadata":{"partial":"interrupted","error":"it broke off"}}','It brea','anthropic','claude-sonnet-4-5','unknown','end_turn','{"input_tokens": 7, "output_tokens": 2, "cache_read_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0, "estimated": true, "cost": null}',NULL,0);
INSERT INTO "messages" VALUES(9,'c93c499e',1,0,'user','complete',1795262401.0,'{"v":1,"role":"user","parts":[{"type":"text","text":"Which tea grows best? \u2615"},{"type":"image","data":"iVBORw0KGgouLi4u","media_type":"image/png","url":""}],"metadata":{}}','Which tea grows best? ☕','anthropic','claude-sonnet-4-5','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(10,'c93c499e',1,1,'assistant','complete',1795262403.0,'{"v":1,"role":"assistant","parts":[{"type":"text","text":"Assam."},{"type":"reasoning","text":"Hm, it is wet there.","signature":"c2lnbmVk","item":null,"owner":"anthropic"}],"metadata":{}}','Assam.','anthropic','claude-sonnet-4-5','stop','end_turn','{"input_tokens": 120, "output_tokens": 30, "cache_read_tokens": 100, "cache_write_tokens": 10, "reasoning_tokens": 12, "estimated": false, "cost": null}','0.00123',0);
INSERT INTO "messages" VALUES(11,'c93c499e',2,0,'user','complete',1795262405.0,'{"v":1,"role":"user","parts":[{"type":"text","text":"What is the weather there?"}],"metadata":{}}','What is the weather there?','ollama','llama3:8b','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(12,'c93c499e',2,1,'assistant','partial',1795262407.0,'{"v":1,"role":"assistant","parts":[{"type":"text","text":"Let me look."},{"type":"tool_call","id":"call_1","name":"weather","arguments":"{\"place\": \"Assam\"}"}],"metadata":{}}','Let me look.','ollama','llama3:8b','tool_calls','end_turn',NULL,NULL,0);
INSERT INTO "messages" VALUES(13,'c93c499e',2,2,'tool','complete',1795262408.0,'{"v":1,"role":"tool","parts":[{"type":"tool_result","call_id":"call_1","content":[{"type":"text","text":"rain"},{"type":"image","data":"iVBORw0KGgouLi4u","media_type":"image/png","url":""}],"name":"weather","is_error":false}],"metadata":{}}','','ollama','llama3:8b','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(14,'c93c499e',2,3,'assistant','complete',1795262409.0,'{"v":1,"role":"assistant","parts":[{"type":"text","text":"It rains."}],"metadata":{}}','It rains.','ollama','llama3:8b','stop','end_turn','{"input_tokens": 50, "output_tokens": 5, "cache_read_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0, "estimated": true, "cost": null}',NULL,0);
INSERT INTO "messages" VALUES(15,'c93c499e',3,0,'user','complete',1795262416.0,'{"v":1,"role":"user","parts":[{"type":"text","text":"No, coffee"}],"metadata":{}}','No, coffee','anthropic','claude-sonnet-4-5','','',NULL,NULL,0);
INSERT INTO "messages" VALUES(16,'c93c499e',3,1,'assistant','error',1795262418.0,'{"v":1,"role":"assistant","parts":[],"metadata":{"partial":"quota","error":"No quota left"}}','','anthropic','claude-sonnet-4-5','unknown','end_turn',NULL,NULL,0);
INSERT INTO "messages" VALUES(17,'2916c707',1,0,'user','complete',1795262421.0,'{"v":1,"role":"user","parts":[{"type":"text","text":"precious words"}],"metadata":{}}','precious words','ollama','llama3:8b','','',NULL,NULL,0);
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
INSERT INTO "sessions" VALUES('4ee3ae71','tea','Which tea grows best?',1795262400.0,1795262414.0,'anthropic','claude-sonnet-4-5','Be brief.',NULL,NULL,'They spoke of tea.',1,'{"input_tokens": 177, "output_tokens": 37, "cache_read_tokens": 100, "cache_write_tokens": 10, "reasoning_tokens": 12, "estimated": true, "cost": null}','0.00123');
INSERT INTO "sessions" VALUES('c93c499e',NULL,'Which tea grows best?',1795262415.0,1795262419.0,'anthropic','claude-sonnet-4-5','Be brief.','4ee3ae71',2,'They spoke of tea.',1,'{"input_tokens": 0, "output_tokens": 0, "cache_read_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0, "estimated": false, "cost": null}',NULL);
INSERT INTO "sessions" VALUES('2916c707',NULL,'precious words',1795262420.0,1795262422.0,'ollama','llama3:8b','',NULL,NULL,'',0,'{"input_tokens": 0, "output_tokens": 0, "cache_read_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0, "estimated": false, "cost": null}',NULL);
CREATE INDEX sessions_by_age ON sessions (updated);
CREATE INDEX sessions_by_parent ON sessions (parent);
CREATE INDEX messages_to_index ON messages (id) WHERE NOT searchable;
COMMIT;
PRAGMA user_version = 1;
