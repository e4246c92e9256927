-- The tables that queries.sql asks.
-- SPDX-License-Identifier: Apache-2.0
CREATE TABLE customer AS
  SELECT i AS id, 'customer ' || md5(i::text) AS name, i % 311 AS city FROM generate_series(1, 5000) AS i;
CREATE TABLE purchase AS
  SELECT i AS id, i * 7919 % 5000 + 1 AS customer, 'item ' || i * 31 % 5003 AS item, (i * 7919 % 100003)::numeric / 7 AS price,
    jsonb_build_object('note', repeat(md5(i::text), i % 4), 'sizes', jsonb_build_array(i % 7, i % 11, i % 13)) AS details
  FROM generate_series(1, 50000) AS i;
CREATE INDEX ON purchase (customer);
ANALYZE;
CREATE FUNCTION parsed(texts text[]) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  good int := 0;
  each text;
BEGIN
  FOREACH each IN ARRAY texts LOOP
    BEGIN
      good := good + (each::int > 0)::int;
    EXCEPTION WHEN invalid_text_representation THEN NULL;
    END;
  END LOOP;
  RETURN good;
END $$;
