-- One of pgbench's transactions: queries that need memory of their own.
-- SPDX-License-Identifier: Apache-2.0
\set city random(0, 310)
\set from random(1, 40000)
SELECT city, count(*), sum(price), string_agg(item, ',' ORDER BY price DESC)
  FROM customer JOIN purchase ON customer.id = customer
  WHERE purchase.id BETWEEN :from AND :from + 10000 GROUP BY city ORDER BY 3 DESC;
SELECT jsonb_agg(jsonb_build_object('name', name, 'orders', orders)) FROM
  (SELECT name, jsonb_agg(to_jsonb(purchase) ORDER BY price) AS orders FROM customer JOIN purchase ON customer.id = customer
    WHERE city BETWEEN :city AND :city + 20 GROUP BY name) AS lists;
SELECT array_agg(id ORDER BY item, price), count(DISTINCT item) FROM purchase WHERE id > :from;
SELECT key, count(*), sum(length(value::text)) FROM purchase, jsonb_each(details)
  WHERE purchase.id BETWEEN :from AND :from + 5000 GROUP BY key;
SELECT regexp_replace(string_agg(name, ' '), '[a-f]+', 'x', 'g'), string_agg(initcap(name), '')
  FROM customer WHERE city > :city;
SELECT parsed(array_agg(CASE WHEN id % 3 = 0 THEN item ELSE id::text END))
  FROM purchase WHERE id BETWEEN :from AND :from + 1000;
SELECT count(*)
  FROM (SELECT row_number() OVER (PARTITION BY item ORDER BY price) AS place FROM purchase) AS ranked WHERE place = 3;
