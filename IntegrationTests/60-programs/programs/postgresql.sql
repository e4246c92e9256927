-- Work for the memory of a PostgreSQL backend, with an output that is always the same.
SET work_mem = '64MB';
SET max_parallel_workers_per_gather = 2;
CREATE TABLE item AS
  SELECT i AS id, md5(i::text) AS name, i % 997 AS kind, (i * 7919 % 100003)::numeric / 7 AS price
  FROM generate_series(1, 200000) AS i;
CREATE INDEX ON item (name);
SELECT count(DISTINCT name), sum(price)::text FROM item;
SELECT kind, count(*), round(avg(price), 4), md5(string_agg(name, ',' ORDER BY name)) FROM item GROUP BY kind ORDER BY kind LIMIT 20;
SELECT md5(array_agg(id ORDER BY price DESC, name)::text) FROM item;
SELECT count(*) FROM item a JOIN item b ON a.kind = b.kind AND a.id < b.id WHERE a.id < 4000 AND b.id < 4000;
SELECT md5(jsonb_agg(to_jsonb(item) ORDER BY id)::text) FROM item WHERE id < 20000;
SELECT length(regexp_replace(string_agg(name, ''), '[a-c]+', 'x', 'g')) FROM item;
DO $$ BEGIN
  FOR i IN 1..2000 LOOP
    BEGIN
      PERFORM repeat(md5(i::text), 1000)::int;
    EXCEPTION WHEN data_exception THEN NULL;
    END;
  END LOOP;
END $$;
SELECT count(*) FROM (SELECT id, row_number() OVER (PARTITION BY kind ORDER BY price, id) AS r FROM item) AS ranked WHERE r = 7;
