-- Tables, indexes, joins, JSON, text search and blobs in memory; :count is the number of rows.
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, kind INT, price REAL, data BLOB);
INSERT INTO item
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
  SELECT i, printf('name %d of %x', i * 7919 % 100003, i), i % 997, i * 31 % 1009 / 7.0, zeroblob(i % 300) FROM n;
CREATE INDEX by_name ON item (name);
CREATE INDEX by_kind ON item (kind, price);
SELECT count(*), sum(length(name)), sum(length(data)), round(sum(price), 3) FROM item;
SELECT kind, count(*), round(avg(price), 4) FROM item GROUP BY kind ORDER BY 3 DESC, 1 LIMIT 10;
SELECT length(group_concat(name)), max(name), min(name) FROM (SELECT name FROM item ORDER BY name);
SELECT count(*) FROM item a JOIN item b ON b.kind = a.kind AND b.id > a.id WHERE a.id < 5000 AND b.id < 5000;
SELECT length(json_group_array(json_object('id', id, 'name', name))) FROM item WHERE id <= 20000;
CREATE VIRTUAL TABLE search USING fts5 (name);
INSERT INTO search SELECT name FROM item WHERE id <= 30000;
SELECT count(*) FROM search WHERE search MATCH 'name AND 1*';
UPDATE item SET data = randomblob(id % 50), name = upper(name) WHERE id % 3 = 0;
DELETE FROM item WHERE id % 5 = 0;
VACUUM;
SELECT count(*), sum(length(name)), sum(length(data)) FROM item;
PRAGMA integrity_check;
