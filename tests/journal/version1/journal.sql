PRAGMA application_id = 1885436269;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE about (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "about" VALUES('fingerprint_key','cbddabff8964a485f3febe76bce606c634c429805d12eb3f83c4d86b93422648');
INSERT INTO "about" VALUES('host_identity','till-1');
CREATE TABLE cancellation (
    cancellation_id INTEGER PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payment,
    receipt_id TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    pos_id TEXT NOT NULL,
    url TEXT NOT NULL,
    cause TEXT NOT NULL,
    request_id TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    offered_at INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_error TEXT NOT NULL DEFAULT '',
    ended_at INTEGER,
    outcome TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO "cancellation" VALUES(1,'refused','000000000000000000000007',1500000,'kassa','http://localhost/api','unrecorded','',1767225600040,1767225600040,NULL,0,'',NULL,'');
INSERT INTO "cancellation" VALUES(2,'aborted','000000000000000000000008',1500000,'kassa','http://localhost/api','unrecorded','',1767225600046,1767225600046,NULL,0,'',NULL,'');
INSERT INTO "cancellation" VALUES(3,'unknown','000000000000000000000009',1500000,'kassa','http://localhost/api','unrecorded','',1767225600052,1767225601053,1767225600053,0,'',NULL,'');
INSERT INTO "cancellation" VALUES(4,'orphan','00000000000000000000000a',1500000,'kassa','http://localhost/api','unrecorded','',1767225600063,1767225600063,NULL,0,'',NULL,'');
INSERT INTO "cancellation" VALUES(5,'orphan-tried','00000000000000000000000b',1500000,'kassa','http://localhost/api','unrecorded','',1767225600072,1767225601073,NULL,1,'receipts.check: no usable answer, nothing came in time',NULL,'');
INSERT INTO "cancellation" VALUES(6,'orphan-held','00000000000000000000000c',1500000,'kassa','http://localhost/api','unrecorded','',1767225600082,1767225601083,NULL,1,'the till says that it has this payment',NULL,'');
INSERT INTO "cancellation" VALUES(7,'orphan-begun','00000000000000000000000d',1500000,'kassa','http://localhost/api','unrecorded','',1767225600092,1767225601093,NULL,1,'receipts.cancel: error -31800',NULL,'');
INSERT INTO "cancellation" VALUES(8,'cancel','00000000000000000000000e',1500000,'kassa','http://localhost/api','cancel','',1767225600102,1767225600102,NULL,0,'',NULL,'');
INSERT INTO "cancellation" VALUES(9,'refund-queued','00000000000000000000000f',1500000,'kassa','http://localhost/api','refund','refund-1',1767225600113,1767225600114,NULL,1,'receipts.cancel: error -31800',NULL,'');
INSERT INTO "cancellation" VALUES(10,'reversed','000000000000000000000010',1500000,'kassa','http://localhost/api','cancel','',1767225600123,1767225600123,NULL,1,'',1767225600124,'Payme says cancelled (50)');
INSERT INTO "cancellation" VALUES(11,'closed-by-hand','000000000000000000000011',1500000,'kassa','http://localhost/api','refund','refund-2',1767225600135,1767225600135,NULL,1,'',1767225600136,'closed by hand: paid in cash; last check: none; last check: paid (4)');
INSERT INTO "cancellation" VALUES(12,'closed-and-back','000000000000000000000012',1500000,'kassa','http://localhost/api','cancel','',1767225600145,1767225600145,NULL,1,'',1767225600146,'Payme says cancelled (50); closed by hand: in the cabinet');
INSERT INTO "cancellation" VALUES(13,'withdrawn','000000000000000000000013',1500000,'kassa','http://localhost/api','refund','refund-3',1767225600157,1767225600157,NULL,1,'',1767225600159,'error -31800 is ignored, state 4 asked after it');
CREATE TABLE code (
    fingerprint TEXT PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payment,
    sent_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "code" VALUES('1624bb928b1e118be35847264f41e07a','closed-by-hand',1767225600129);
INSERT INTO "code" VALUES('1aaac5e5b2ac1e1bca4a5ff83565d0c5','recorded',1767225600020);
INSERT INTO "code" VALUES('2bf13077a619095dc49c58b0d40d787d','orphan-begun',1767225600088);
INSERT INTO "code" VALUES('3419c9319a1327665721c06dd94c042f','orphan-held',1767225600078);
INSERT INTO "code" VALUES('506e170e927f65f40cef45cd992e5947','orphan',1767225600059);
INSERT INTO "code" VALUES('56344d95eb0dce0d61abce56860486f8','closed-and-back',1767225600141);
INSERT INTO "code" VALUES('688720d5e43e61347ea1b6e1489cdec7','cancel',1767225600098);
INSERT INTO "code" VALUES('6db85c3f1578db3683471b1632293426','refund-queued',1767225600107);
INSERT INTO "code" VALUES('6e99209e0152f985b996f6106a2e59e2','withdrawn',1767225600151);
INSERT INTO "code" VALUES('8055d53b108d028b774bd4f780ffd64b','refused',1767225600039);
INSERT INTO "code" VALUES('9f7b618b52fcb69473ec7f21f01601ad','closed',1767225600028);
INSERT INTO "code" VALUES('a655b9b7cc420c4032af471ebb067580','unknown',1767225600051);
INSERT INTO "code" VALUES('d80d1975017ada52a787da48633075d2','aborted',1767225600045);
INSERT INTO "code" VALUES('da0bf29933adb45ec7a630315189bb3f','paying',1767225600008);
INSERT INTO "code" VALUES('db9594072f44abf2e11989bc74d8940b','reversed',1767225600119);
INSERT INTO "code" VALUES('e25f915ea7ed1e74a1dea17c463ffa28','orphan-tried',1767225600068);
INSERT INTO "code" VALUES('f89aaa69e593942888f4d597d792c8e4','paid',1767225600013);
CREATE TABLE event (
    event_id INTEGER PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payment,
    at_ms INTEGER NOT NULL,
    before TEXT,
    after TEXT,
    text TEXT NOT NULL
) STRICT;
INSERT INTO "event" VALUES(1,'intent',1767225600001,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(2,'created',1767225600002,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(3,'created',1767225600003,'intent','created','to created');
INSERT INTO "event" VALUES(4,'paying',1767225600004,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(5,'paying',1767225600005,'intent','created','to created');
INSERT INTO "event" VALUES(6,'paying',1767225600006,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(7,'paying',1767225600007,'created','paying','to paying');
INSERT INTO "event" VALUES(8,'paid',1767225600009,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(9,'paid',1767225600010,'intent','created','to created');
INSERT INTO "event" VALUES(10,'paid',1767225600011,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(11,'paid',1767225600012,'created','paying','to paying');
INSERT INTO "event" VALUES(12,'paid',1767225600015,'paying','paid','to paid');
INSERT INTO "event" VALUES(13,'recorded',1767225600016,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(14,'recorded',1767225600017,'intent','created','to created');
INSERT INTO "event" VALUES(15,'recorded',1767225600018,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(16,'recorded',1767225600019,'created','paying','to paying');
INSERT INTO "event" VALUES(17,'recorded',1767225600022,'paying','paid','to paid');
INSERT INTO "event" VALUES(18,'recorded',1767225600023,'paid','recorded','to recorded');
INSERT INTO "event" VALUES(19,'closed',1767225600024,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(20,'closed',1767225600025,'intent','created','to created');
INSERT INTO "event" VALUES(21,'closed',1767225600026,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(22,'closed',1767225600027,'created','paying','to paying');
INSERT INTO "event" VALUES(23,'closed',1767225600030,'paying','paid','to paid');
INSERT INTO "event" VALUES(24,'closed',1767225600031,'paid','recorded','to recorded');
INSERT INTO "event" VALUES(25,'closed',1767225600033,NULL,NULL,'the receipt is closed');
INSERT INTO "event" VALUES(26,'closed',1767225600034,NULL,NULL,'fiscal receipt: to be told to Payme');
INSERT INTO "event" VALUES(27,'refused',1767225600035,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(28,'refused',1767225600036,'intent','created','to created');
INSERT INTO "event" VALUES(29,'refused',1767225600037,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(30,'refused',1767225600038,'created','paying','to paying');
INSERT INTO "event" VALUES(31,'refused',1767225600040,'paying','refused','to refused');
INSERT INTO "event" VALUES(32,'refused',1767225600040,NULL,NULL,'cancellation: queued, cause unrecorded');
INSERT INTO "event" VALUES(33,'aborted',1767225600041,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(34,'aborted',1767225600042,'intent','created','to created');
INSERT INTO "event" VALUES(35,'aborted',1767225600043,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(36,'aborted',1767225600044,'created','paying','to paying');
INSERT INTO "event" VALUES(37,'aborted',1767225600046,'paying','aborted','to aborted');
INSERT INTO "event" VALUES(38,'aborted',1767225600046,NULL,NULL,'cancellation: queued, cause unrecorded');
INSERT INTO "event" VALUES(39,'unknown',1767225600047,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(40,'unknown',1767225600048,'intent','created','to created');
INSERT INTO "event" VALUES(41,'unknown',1767225600049,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(42,'unknown',1767225600050,'created','paying','to paying');
INSERT INTO "event" VALUES(43,'unknown',1767225600052,'paying','unknown','to unknown');
INSERT INTO "event" VALUES(44,'unknown',1767225600052,NULL,NULL,'cancellation: queued, cause unrecorded');
INSERT INTO "event" VALUES(45,'unknown',1767225600053,NULL,NULL,'cancellation: the host''s queue took it');
INSERT INTO "event" VALUES(46,'orphan',1767225600055,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(47,'orphan',1767225600056,'intent','created','to created');
INSERT INTO "event" VALUES(48,'orphan',1767225600057,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(49,'orphan',1767225600058,'created','paying','to paying');
INSERT INTO "event" VALUES(50,'orphan',1767225600061,'paying','paid','to paid');
INSERT INTO "event" VALUES(51,'orphan',1767225600062,'paid','recorded','to recorded');
INSERT INTO "event" VALUES(52,'orphan',1767225600063,'recorded','reversing','the till does not have it and never will');
INSERT INTO "event" VALUES(53,'orphan',1767225600063,NULL,NULL,'cancellation: queued, cause unrecorded');
INSERT INTO "event" VALUES(54,'orphan-tried',1767225600064,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(55,'orphan-tried',1767225600065,'intent','created','to created');
INSERT INTO "event" VALUES(56,'orphan-tried',1767225600066,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(57,'orphan-tried',1767225600067,'created','paying','to paying');
INSERT INTO "event" VALUES(58,'orphan-tried',1767225600070,'paying','paid','to paid');
INSERT INTO "event" VALUES(59,'orphan-tried',1767225600071,'paid','recorded','to recorded');
INSERT INTO "event" VALUES(60,'orphan-tried',1767225600072,'recorded','reversing','the till does not have it and never will');
INSERT INTO "event" VALUES(61,'orphan-tried',1767225600072,NULL,NULL,'cancellation: queued, cause unrecorded');
INSERT INTO "event" VALUES(62,'orphan-tried',1767225600073,NULL,NULL,'cancellation: receipts.check: no usable answer, nothing came in time');
INSERT INTO "event" VALUES(63,'orphan-held',1767225600074,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(64,'orphan-held',1767225600075,'intent','created','to created');
INSERT INTO "event" VALUES(65,'orphan-held',1767225600076,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(66,'orphan-held',1767225600077,'created','paying','to paying');
INSERT INTO "event" VALUES(67,'orphan-held',1767225600080,'paying','paid','to paid');
INSERT INTO "event" VALUES(68,'orphan-held',1767225600081,'paid','recorded','to recorded');
INSERT INTO "event" VALUES(69,'orphan-held',1767225600082,'recorded','reversing','the till does not have it and never will');
INSERT INTO "event" VALUES(70,'orphan-held',1767225600082,NULL,NULL,'cancellation: queued, cause unrecorded');
INSERT INTO "event" VALUES(71,'orphan-held',1767225600083,NULL,NULL,'cancellation: the till says that it has this payment');
INSERT INTO "event" VALUES(72,'orphan-begun',1767225600084,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(73,'orphan-begun',1767225600085,'intent','created','to created');
INSERT INTO "event" VALUES(74,'orphan-begun',1767225600086,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(75,'orphan-begun',1767225600087,'created','paying','to paying');
INSERT INTO "event" VALUES(76,'orphan-begun',1767225600090,'paying','paid','to paid');
INSERT INTO "event" VALUES(77,'orphan-begun',1767225600091,'paid','recorded','to recorded');
INSERT INTO "event" VALUES(78,'orphan-begun',1767225600092,'recorded','reversing','the till does not have it and never will');
INSERT INTO "event" VALUES(79,'orphan-begun',1767225600092,NULL,NULL,'cancellation: queued, cause unrecorded');
INSERT INTO "event" VALUES(80,'orphan-begun',1767225600054,NULL,NULL,'request receipts.cancel');
INSERT INTO "event" VALUES(81,'orphan-begun',1767225600093,NULL,NULL,'cancellation: receipts.cancel: error -31800');
INSERT INTO "event" VALUES(82,'cancel',1767225600094,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(83,'cancel',1767225600095,'intent','created','to created');
INSERT INTO "event" VALUES(84,'cancel',1767225600096,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(85,'cancel',1767225600097,'created','paying','to paying');
INSERT INTO "event" VALUES(86,'cancel',1767225600100,'paying','paid','to paid');
INSERT INTO "event" VALUES(87,'cancel',1767225600101,'paid','recorded','to recorded');
INSERT INTO "event" VALUES(88,'cancel',1767225600102,'recorded','reversing','the till asks for a cancel');
INSERT INTO "event" VALUES(89,'cancel',1767225600102,NULL,NULL,'cancellation: queued, cause cancel');
INSERT INTO "event" VALUES(90,'refund-queued',1767225600103,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(91,'refund-queued',1767225600104,'intent','created','to created');
INSERT INTO "event" VALUES(92,'refund-queued',1767225600105,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(93,'refund-queued',1767225600106,'created','paying','to paying');
INSERT INTO "event" VALUES(94,'refund-queued',1767225600109,'paying','paid','to paid');
INSERT INTO "event" VALUES(95,'refund-queued',1767225600110,'paid','recorded','to recorded');
INSERT INTO "event" VALUES(96,'refund-queued',1767225600112,NULL,NULL,'the receipt is closed');
INSERT INTO "event" VALUES(97,'refund-queued',1767225600113,'recorded','reversing','the till asks for a refund');
INSERT INTO "event" VALUES(98,'refund-queued',1767225600113,NULL,NULL,'cancellation: queued, cause refund');
INSERT INTO "event" VALUES(99,'refund-queued',1767225600054,NULL,NULL,'request receipts.cancel');
INSERT INTO "event" VALUES(100,'reversed',1767225600115,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(101,'reversed',1767225600116,'intent','created','to created');
INSERT INTO "event" VALUES(102,'reversed',1767225600117,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(103,'reversed',1767225600118,'created','paying','to paying');
INSERT INTO "event" VALUES(104,'reversed',1767225600121,'paying','paid','to paid');
INSERT INTO "event" VALUES(105,'reversed',1767225600122,'paid','recorded','to recorded');
INSERT INTO "event" VALUES(106,'reversed',1767225600123,'recorded','reversing','the till asks for a cancel');
INSERT INTO "event" VALUES(107,'reversed',1767225600123,NULL,NULL,'cancellation: queued, cause cancel');
INSERT INTO "event" VALUES(108,'reversed',1767225600124,NULL,NULL,'cancellation: Payme says cancelled (50)');
INSERT INTO "event" VALUES(109,'reversed',1767225600124,'reversing','reversed','Payme says cancelled (50)');
INSERT INTO "event" VALUES(110,'closed-by-hand',1767225600125,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(111,'closed-by-hand',1767225600126,'intent','created','to created');
INSERT INTO "event" VALUES(112,'closed-by-hand',1767225600127,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(113,'closed-by-hand',1767225600128,'created','paying','to paying');
INSERT INTO "event" VALUES(114,'closed-by-hand',1767225600131,'paying','paid','to paid');
INSERT INTO "event" VALUES(115,'closed-by-hand',1767225600132,'paid','recorded','to recorded');
INSERT INTO "event" VALUES(116,'closed-by-hand',1767225600134,NULL,NULL,'the receipt is closed');
INSERT INTO "event" VALUES(117,'closed-by-hand',1767225600135,'recorded','reversing','the till asks for a refund');
INSERT INTO "event" VALUES(118,'closed-by-hand',1767225600135,NULL,NULL,'cancellation: queued, cause refund');
INSERT INTO "event" VALUES(119,'closed-by-hand',1767225600136,NULL,NULL,'cancellation: closed by hand: paid in cash; last check: none; last check: paid (4)');
INSERT INTO "event" VALUES(120,'closed-and-back',1767225600137,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(121,'closed-and-back',1767225600138,'intent','created','to created');
INSERT INTO "event" VALUES(122,'closed-and-back',1767225600139,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(123,'closed-and-back',1767225600140,'created','paying','to paying');
INSERT INTO "event" VALUES(124,'closed-and-back',1767225600143,'paying','paid','to paid');
INSERT INTO "event" VALUES(125,'closed-and-back',1767225600144,'paid','recorded','to recorded');
INSERT INTO "event" VALUES(126,'closed-and-back',1767225600145,'recorded','reversing','the till asks for a cancel');
INSERT INTO "event" VALUES(127,'closed-and-back',1767225600145,NULL,NULL,'cancellation: queued, cause cancel');
INSERT INTO "event" VALUES(128,'closed-and-back',1767225600146,NULL,NULL,'cancellation: Payme says cancelled (50); closed by hand: in the cabinet');
INSERT INTO "event" VALUES(129,'closed-and-back',1767225600146,'reversing','reversed','Payme says cancelled (50)');
INSERT INTO "event" VALUES(130,'withdrawn',1767225600147,NULL,'intent','1500000 tiyin');
INSERT INTO "event" VALUES(131,'withdrawn',1767225600148,'intent','created','to created');
INSERT INTO "event" VALUES(132,'withdrawn',1767225600149,NULL,NULL,'request receipts.pay');
INSERT INTO "event" VALUES(133,'withdrawn',1767225600150,'created','paying','to paying');
INSERT INTO "event" VALUES(134,'withdrawn',1767225600153,'paying','paid','to paid');
INSERT INTO "event" VALUES(135,'withdrawn',1767225600154,'paid','recorded','to recorded');
INSERT INTO "event" VALUES(136,'withdrawn',1767225600156,NULL,NULL,'the receipt is closed');
INSERT INTO "event" VALUES(137,'withdrawn',1767225600157,'recorded','reversing','the till asks for a refund');
INSERT INTO "event" VALUES(138,'withdrawn',1767225600157,NULL,NULL,'cancellation: queued, cause refund');
INSERT INTO "event" VALUES(139,'withdrawn',1767225600158,NULL,NULL,'request receipts.cancel');
INSERT INTO "event" VALUES(140,'withdrawn',1767225600159,NULL,NULL,'cancellation: error -31800 is ignored, state 4 asked after it');
INSERT INTO "event" VALUES(141,'withdrawn',1767225600159,'reversing','recorded','error -31800 is ignored, state 4 asked after it');
CREATE TABLE fiscal_link (
    fiscal_link_id INTEGER PRIMARY KEY,
    payment_id TEXT NOT NULL UNIQUE REFERENCES payment,
    receipt_id TEXT NOT NULL,
    pos_id TEXT NOT NULL,
    url TEXT NOT NULL,
    link TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_error TEXT NOT NULL DEFAULT '',
    ended_at INTEGER,
    outcome TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO "fiscal_link" VALUES(1,'closed','000000000000000000000006','kassa','http://localhost/api','https://ofd.soliq.uz/check?t=UZ1&r=1&c=20260101000000&s=1',1767225600034,1767225600034,0,'',NULL,'');
CREATE TABLE payment (
    payment_id TEXT PRIMARY KEY,
    payment_type INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    till TEXT NOT NULL,
    shift INTEGER NOT NULL,
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    pos_id TEXT NOT NULL,
    url TEXT NOT NULL,
    owner TEXT NOT NULL,
    state TEXT NOT NULL,
    receipt_id TEXT UNIQUE,
    paid_at INTEGER,
    closed_at INTEGER,
    message TEXT NOT NULL DEFAULT '',
    error_code INTEGER,
    cancellation_queued INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
INSERT INTO "payment" VALUES('intent',7,1500000,'till-1',3,1,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','intent',NULL,NULL,NULL,'',NULL,0,1767225600001,1767225600001);
INSERT INTO "payment" VALUES('created',7,1500000,'till-1',3,2,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','created','000000000000000000000002',NULL,NULL,'',NULL,0,1767225600002,1767225600003);
INSERT INTO "payment" VALUES('paying',7,1500000,'till-1',3,3,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','paying','000000000000000000000003',NULL,NULL,'',NULL,0,1767225600004,1767225600007);
INSERT INTO "payment" VALUES('paid',7,1500000,'till-1',3,4,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','paid','000000000000000000000004',1767225600014,NULL,'',NULL,0,1767225600009,1767225600015);
INSERT INTO "payment" VALUES('recorded',7,1500000,'till-1',3,5,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','recorded','000000000000000000000005',1767225600021,NULL,'',NULL,0,1767225600016,1767225600023);
INSERT INTO "payment" VALUES('closed',7,1500000,'till-1',3,6,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','recorded','000000000000000000000006',1767225600029,1767225600032,'',NULL,0,1767225600024,1767225600033);
INSERT INTO "payment" VALUES('refused',7,1500000,'till-1',3,7,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','refused','000000000000000000000007',NULL,NULL,'told of refused',NULL,1,1767225600035,1767225600040);
INSERT INTO "payment" VALUES('aborted',7,1500000,'till-1',3,8,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','aborted','000000000000000000000008',NULL,NULL,'told of aborted',NULL,1,1767225600041,1767225600046);
INSERT INTO "payment" VALUES('unknown',7,1500000,'till-1',3,9,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','unknown','000000000000000000000009',NULL,NULL,'told of unknown',NULL,1,1767225600047,1767225600052);
INSERT INTO "payment" VALUES('orphan',7,1500000,'till-1',3,10,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','reversing','00000000000000000000000a',1767225600060,NULL,'',NULL,1,1767225600055,1767225600063);
INSERT INTO "payment" VALUES('orphan-tried',7,1500000,'till-1',3,11,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','reversing','00000000000000000000000b',1767225600069,NULL,'',NULL,1,1767225600064,1767225600072);
INSERT INTO "payment" VALUES('orphan-held',7,1500000,'till-1',3,12,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','reversing','00000000000000000000000c',1767225600079,NULL,'',NULL,1,1767225600074,1767225600082);
INSERT INTO "payment" VALUES('orphan-begun',7,1500000,'till-1',3,13,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','reversing','00000000000000000000000d',1767225600089,NULL,'',NULL,1,1767225600084,1767225600092);
INSERT INTO "payment" VALUES('cancel',7,1500000,'till-1',3,14,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','reversing','00000000000000000000000e',1767225600099,NULL,'',NULL,1,1767225600094,1767225600102);
INSERT INTO "payment" VALUES('refund-queued',7,1500000,'till-1',3,15,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','reversing','00000000000000000000000f',1767225600108,1767225600111,'',NULL,1,1767225600103,1767225600113);
INSERT INTO "payment" VALUES('reversed',7,1500000,'till-1',3,16,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','reversed','000000000000000000000010',1767225600120,NULL,'',NULL,1,1767225600115,1767225600124);
INSERT INTO "payment" VALUES('closed-by-hand',7,1500000,'till-1',3,17,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','reversing','000000000000000000000011',1767225600130,1767225600133,'',NULL,1,1767225600125,1767225600135);
INSERT INTO "payment" VALUES('closed-and-back',7,1500000,'till-1',3,18,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','reversed','000000000000000000000012',1767225600142,NULL,'',NULL,1,1767225600137,1767225600146);
INSERT INTO "payment" VALUES('withdrawn',7,1500000,'till-1',3,19,1,'kassa','http://localhost/api','0123456789abcdef0123456789abcdef','recorded','000000000000000000000013',1767225600152,1767225600155,'',NULL,1,1767225600147,1767225600159);
CREATE INDEX payment_of_sale ON payment (till, shift, number);
CREATE INDEX payment_without_end ON payment (state) WHERE state IN ('intent', 'created', 'paying', 'paid', 'reversing');
CREATE INDEX payment_in_open_sale ON payment (state) WHERE state = 'recorded' AND closed_at IS NULL;
CREATE INDEX payment_by_age ON payment (created_at);
CREATE INDEX event_of_payment ON event (payment_id);
CREATE INDEX code_of_payment ON code (payment_id);
CREATE UNIQUE INDEX one_live_cancellation ON cancellation (payment_id) WHERE ended_at IS NULL;
CREATE INDEX cancellation_due ON cancellation (due_at) WHERE ended_at IS NULL;
CREATE INDEX fiscal_link_due ON fiscal_link (due_at) WHERE ended_at IS NULL;
COMMIT;
