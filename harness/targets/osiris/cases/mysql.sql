-- What the cases with `needs: [mysql]` find. One statement ends with a semicolon at a line's end.
CREATE TABLE people (id INT PRIMARY KEY, name VARCHAR(50), joined DATE);
INSERT INTO people VALUES
  (1, 'Ada', '1843-07-10'), (2, 'Hopper, Grace', '1944-07-02'), (3, 'Žofie 🐢', NULL), (4, NULL, NULL);
CREATE TABLE nothing (id INT, name TEXT);
CREATE TABLE written (id BIGINT, name TEXT);
CREATE TABLE types (
  id INT PRIMARY KEY, flag BOOLEAN, tiny TINYINT, big BIGINT, ubig BIGINT UNSIGNED, single FLOAT,
  double_ DOUBLE, amount DECIMAL(30, 10), day DATE, clock TIME(6), moment DATETIME(6), stamp TIMESTAMP NULL,
  year_ YEAR, bits BIT(8), text_plain VARCHAR(100), text_unicode TEXT, bytes VARBINARY(20),
  choice ENUM('a', 'b'), choices SET('x', 'y'), document JSON
);
INSERT INTO types VALUES
  (1, TRUE, 127, 9223372036854775807, 18446744073709551615, 1.5, 0.1, 12345678901234567890.0123456789,
   '2024-02-29', '23:59:59.999999', '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56', 2024, b'10100101',
   'plain', 'café 🚀', X'00FF', 'a', 'x,y', '{"k": "v"}'),
  (2, FALSE, -128, -9223372036854775808, 0, -0.0, 1e308, -0.0000000001,
   '1000-01-01', '-838:59:59', '9999-12-31 23:59:59.999999', '1970-01-02 00:00:00', 1901, b'0',
   '', 'two\nlines', X'', 'b', '', '[]'),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
