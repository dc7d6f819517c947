-- Now: the database's clock, which is the only one.
SELECT statement_timestamp() AS now;
