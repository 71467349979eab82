BEGIN TRANSACTION;
CREATE TABLE commands (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL);
INSERT INTO "commands" VALUES(1,'stop');
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, seal INTEGER NOT NULL);
INSERT INTO "meta" VALUES('schema','3',2377149757);
INSERT INTO "meta" VALUES('study','{"workload":{"data":"digits","model":"cnn","batch_size":128,"accumulate":1,"augment":"none","label_smoothing":0.0,"clip_norm":null,"validation_fraction":0.1,"train_limit":null},"strategies":[{"name":"fixed","method":"sgd","lr":0.1,"options":{"momentum":0.9,"betas":[0.9,0.99]},"schedules":{},"controllers":[],"average":""},{"name":"cosine","method":"sgd","lr":null,"options":{"momentum":0.9},"schedules":{"lr":"cosine(1, 0)"},"controllers":[],"average":"ema(decay=0.999)"}],"rate_grids":{"cosine":[0.01,0.1,1.0]},"find":false,"centres":{},"seeds":2,"steps":8,"steps_per_epoch":4,"evaluate_every":4,"target":null,"lane":{"device":"cpu","precision":"fp32","threads":1,"channels_last":true,"deterministic":true}}',4010512595);
INSERT INTO "meta" VALUES('fingerprint','0123456789abcdef',687090260);
INSERT INTO "meta" VALUES('command','calando compare digits --strategies fixed,cosine',1889422285);
INSERT INTO "meta" VALUES('range test 5fba735bd7125959','{"decayed": [0.1, 0.05, 0.2], "constant": null, "doubts": ["too flat"], "updates": 64, "seconds": 0.5}',3582760925);
CREATE TABLE runs (
    digest TEXT PRIMARY KEY, spec TEXT NOT NULL, outcome TEXT NOT NULL, steps_done INTEGER NOT NULL,
    evaluations TEXT NOT NULL, chance REAL NOT NULL, events TEXT NOT NULL, skips TEXT NOT NULL,
    undone INTEGER NOT NULL, seconds REAL NOT NULL, inherited INTEGER NOT NULL, inherited_seconds REAL NOT NULL,
    host TEXT NOT NULL, seal INTEGER NOT NULL
);
INSERT INTO "runs" VALUES('5fba735bd7125959','{"workload":{"data":"digits","model":"cnn","batch_size":128,"accumulate":1,"augment":"none","label_smoothing":0.0,"clip_norm":null,"validation_fraction":0.1,"train_limit":null},"strategy":{"name":"fixed","method":"sgd","lr":0.1,"options":{"momentum":0.9,"betas":[0.9,0.99]},"schedules":{},"controllers":[],"average":""},"steps":8,"steps_per_epoch":4,"evaluate_every":4,"seed":0,"lane":{"device":"cpu","precision":"fp32","threads":1,"channels_last":true,"deterministic":true},"skips":[]}','finished',8,'[{"step":4,"loss":0.25,"score":0.7,"raw_loss":0.5,"raw_score":0.25},{"step":8,"loss":0.125,"score":0.9,"raw_loss":0.5,"raw_score":0.25}]',0.1,'[]','[[3,4]]',2,1.5,0,0.0,'{"machine":"x86_64, 2 cores","torch":"2.13.0"}',699092678);
INSERT INTO "runs" VALUES('c3637ae44224e3d9','{"workload":{"data":"digits","model":"cnn","batch_size":128,"accumulate":1,"augment":"none","label_smoothing":0.0,"clip_norm":null,"validation_fraction":0.1,"train_limit":null},"strategy":{"name":"fixed","method":"sgd","lr":0.1,"options":{"momentum":0.9,"betas":[0.9,0.99]},"schedules":{},"controllers":[],"average":""},"steps":8,"steps_per_epoch":4,"evaluate_every":4,"seed":1,"lane":{"device":"cpu","precision":"fp32","threads":1,"channels_last":true,"deterministic":true},"skips":[]}','diverged',3,'[]',0.1,'[{"step":2,"kind":"diverged","text":"loss is nan at update 2"}]','[[3,4]]',2,1.5,0,0.0,'{"machine":"x86_64, 2 cores","torch":"2.13.0"}',2447121257);
INSERT INTO "runs" VALUES('165fcaaae41997b2','{"workload":{"data":"digits","model":"cnn","batch_size":128,"accumulate":1,"augment":"none","label_smoothing":0.0,"clip_norm":null,"validation_fraction":0.1,"train_limit":null},"strategy":{"name":"cosine","method":"sgd","lr":0.01,"options":{"momentum":0.9},"schedules":{"lr":"cosine(1, 0)"},"controllers":[],"average":"ema(decay=0.999)"},"steps":8,"steps_per_epoch":4,"evaluate_every":4,"seed":0,"lane":{"device":"cpu","precision":"fp32","threads":1,"channels_last":true,"deterministic":true},"skips":[]}','finished',8,'[{"step":4,"loss":0.25,"score":0.691,"raw_loss":0.5,"raw_score":0.25},{"step":8,"loss":0.125,"score":0.891,"raw_loss":0.5,"raw_score":0.25}]',0.1,'[]','[[3,4]]',2,1.5,0,0.0,'{"machine":"x86_64, 2 cores","torch":"2.13.0"}',3669727072);
INSERT INTO "runs" VALUES('dcf8c80e006b8c3c','{"workload":{"data":"digits","model":"cnn","batch_size":128,"accumulate":1,"augment":"none","label_smoothing":0.0,"clip_norm":null,"validation_fraction":0.1,"train_limit":null},"strategy":{"name":"cosine","method":"sgd","lr":0.1,"options":{"momentum":0.9},"schedules":{"lr":"cosine(1, 0)"},"controllers":[],"average":"ema(decay=0.999)"},"steps":8,"steps_per_epoch":4,"evaluate_every":4,"seed":0,"lane":{"device":"cpu","precision":"fp32","threads":1,"channels_last":true,"deterministic":true},"skips":[]}','finished',8,'[{"step":4,"loss":0.25,"score":0.7,"raw_loss":0.5,"raw_score":0.25},{"step":8,"loss":0.125,"score":0.9,"raw_loss":0.5,"raw_score":0.25}]',0.1,'[]','[[3,4]]',2,1.5,0,0.0,'{"machine":"x86_64, 2 cores","torch":"2.13.0"}',3186315289);
INSERT INTO "runs" VALUES('db16b02aafe42524','{"workload":{"data":"digits","model":"cnn","batch_size":128,"accumulate":1,"augment":"none","label_smoothing":0.0,"clip_norm":null,"validation_fraction":0.1,"train_limit":null},"strategy":{"name":"cosine","method":"sgd","lr":1.0,"options":{"momentum":0.9},"schedules":{"lr":"cosine(1, 0)"},"controllers":[],"average":"ema(decay=0.999)"},"steps":8,"steps_per_epoch":4,"evaluate_every":4,"seed":0,"lane":{"device":"cpu","precision":"fp32","threads":1,"channels_last":true,"deterministic":true},"skips":[]}','diverged',3,'[]',0.1,'[{"step":2,"kind":"diverged","text":"loss is nan at update 2"}]','[[3,4]]',2,1.5,0,0.0,'{"machine":"x86_64, 2 cores","torch":"2.13.0"}',1792464428);
INSERT INTO "runs" VALUES('ed6aefbd4df8d993','{"workload":{"data":"digits","model":"cnn","batch_size":128,"accumulate":1,"augment":"none","label_smoothing":0.0,"clip_norm":null,"validation_fraction":0.1,"train_limit":null},"strategy":{"name":"cosine","method":"sgd","lr":0.1,"options":{"momentum":0.9},"schedules":{"lr":"cosine(1, 0)"},"controllers":[],"average":"ema(decay=0.999)"},"steps":8,"steps_per_epoch":4,"evaluate_every":4,"seed":1,"lane":{"device":"cpu","precision":"fp32","threads":1,"channels_last":true,"deterministic":true},"skips":[]}','finished',8,'[{"step":4,"loss":0.25,"score":0.69,"raw_loss":0.5,"raw_score":0.25},{"step":8,"loss":0.125,"score":0.89,"raw_loss":0.5,"raw_score":0.25}]',0.1,'[]','[[3,4]]',2,1.5,0,0.0,'{"machine":"x86_64, 2 cores","torch":"2.13.0"}',345724114);
CREATE TABLE tests (
    digest TEXT PRIMARY KEY REFERENCES runs (digest), score REAL NOT NULL, loss REAL, n INTEGER NOT NULL,
    seal INTEGER NOT NULL
);
INSERT INTO "tests" VALUES('5fba735bd7125959',0.9,0.25,360,2546150708);
INSERT INTO "tests" VALUES('dcf8c80e006b8c3c',0.9,0.25,360,3111832267);
INSERT INTO "tests" VALUES('ed6aefbd4df8d993',0.89,0.25,360,3469124059);
CREATE TABLE traces (
    digest TEXT PRIMARY KEY REFERENCES runs (digest), losses BLOB NOT NULL, rates BLOB NOT NULL, seal INTEGER NOT NULL
);
INSERT INTO "traces" VALUES('5fba735bd7125959',X'789C3336167678ACFDCF3EFEE355FBDBDBD6DA47D4B4DAAF68B6B27792BD6277F6CC195B00F2250F35',X'789C9B35130476DACF22930600A92C2479',4126902377);
INSERT INTO "traces" VALUES('c3637ae44224e3d9',X'789C3336167678ACFDCF9E81E1403D0019120444',X'789C9B35130476DACF42A301ADD60DAE',4231190802);
INSERT INTO "traces" VALUES('165fcaaae41997b2',X'789C3336167678ACFDCF3EFEE355FBDBDBD6DA47D4B4DAAF68B6B27792BD6277F6CC195B00F2250F35',X'789CAB1659E7FEB0AAC5BE9A4C1A00AECD1D11',3071960176);
INSERT INTO "traces" VALUES('dcf8c80e006b8c3c',X'789C3336167678ACFDCF3EFEE355FBDBDBD6DA47D4B4DAAF68B6B27792BD6277F6CC195B00F2250F35',X'789C9B35130476DACF22930600A92C2479',1647212680);
INSERT INTO "traces" VALUES('db16b02aafe42524',X'789C3336167678ACFDCF9E81E1403D0019120444',X'789C636000810FF60C68340022DD038E',1888315807);
INSERT INTO "traces" VALUES('ed6aefbd4df8d993',X'789C3336167678ACFDCF3EFEE355FBDBDBD6DA47D4B4DAAF68B6B27792BD6277F6CC195B00F2250F35',X'789C9B35130476DACF22930600A92C2479',173052475);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('commands',1);
COMMIT;
