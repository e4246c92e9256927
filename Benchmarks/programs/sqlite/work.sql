-- Work for SQLite's memory. :rows is the number of orders.
-- SPDX-License-Identifier: Apache-2.0
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, city TEXT);
CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INT, item TEXT, price REAL, note TEXT);

INSERT INTO customer
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows / 10)
  SELECT i, printf('customer %x of %d', i * 7919, i), 'city ' || (i % 311) FROM n;
INSERT INTO purchase
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
  SELECT i, i * 7919 % (:rows / 10) + 1, printf('item %d', i * 31 % 5003), i * 7919 % 100003 / 7.0,
    substr('the quick brown fox jumps over the lazy dog and runs on for as long as it can', i % 20 + 1, i % 57) FROM n;

CREATE INDEX by_customer ON purchase (customer, price);
CREATE INDEX by_item ON purchase (item);
CREATE INDEX by_city ON customer (city);

SELECT city, count(*), round(sum(price), 2) FROM customer JOIN purchase ON customer.id = purchase.customer
  GROUP BY city ORDER BY 3 DESC LIMIT 5;
SELECT count(*), sum(length(names)) FROM
  (SELECT city, group_concat(upper(name) || '/' || length(name), ';') AS names FROM customer GROUP BY city);
SELECT count(DISTINCT replace(note, 'o', '0') || substr(item, 6, 2)), max(instr(note, 'lazy')) FROM purchase;
SELECT item, count(*) AS n, group_concat(trim(substr(note, 1, 9))) FROM purchase WHERE note LIKE '%fox%'
  GROUP BY item ORDER BY n DESC, item LIMIT 3;
SELECT sum(length(orders)) FROM (
  SELECT customer, json_group_array(json_object('id', id, 'item', item, 'price', price)) AS orders
    FROM purchase GROUP BY customer);
SELECT count(*), sum(json_extract(row, '$.price') > 5000)
  FROM (SELECT json_object('id', id, 'price', price) AS row FROM purchase);
SELECT sum(place) FROM (SELECT row_number() OVER (PARTITION BY customer ORDER BY price, id) AS place FROM purchase);

UPDATE purchase SET note = note || ' ' || hex(randomblob(id % 16)) WHERE id % 3 = 0;
DELETE FROM purchase WHERE id % 4 = 0;
INSERT INTO purchase (customer, item, price, note)
  SELECT customer, lower(item), price / 2, quote(note) FROM purchase WHERE id % 5 = 0;
SELECT count(*), sum(length(note)), round(sum(price), 2) FROM purchase;
