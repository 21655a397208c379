# sqlite3: 10,000 rows in one transaction and 500 single ones, in both journal modes.
for mode in delete wal; do
	rm -f db db-*
	{
		echo "PRAGMA journal_mode=$mode;"
		echo 'PRAGMA synchronous=FULL;'
		echo 'CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, b TEXT);'
		echo 'BEGIN;'
		awk 'BEGIN { for (i = 1; i <= 10000; i++) printf "INSERT INTO t VALUES(%d, %d, \"row %d\");\n", i, i * 7919 % 10007, i }' |
			sed "s/\"/'/g"
		echo 'COMMIT;'
		awk 'BEGIN { for (i = 10001; i <= 10500; i++) printf "INSERT INTO t VALUES(%d, %d, \"single %d\");\n", i, i * 7919 % 10007, i }' |
			sed "s/\"/'/g"
		echo 'SELECT count(*), sum(a), max(b) FROM t;'
	} | sqlite3 db
	echo "status $?"
	sqlite3 db 'CREATE INDEX i ON t(a); SELECT count(*) FROM t WHERE a BETWEEN 100 AND 900;'
	sqlite3 db 'UPDATE t SET b = upper(b) WHERE id % 10 = 0; SELECT count(*) FROM t WHERE b LIKE "ROW%0";' 2>/dev/null
	# A rollback, a writer beside a reader, and a busy database.
	sqlite3 db 'BEGIN; DELETE FROM t; ROLLBACK; SELECT count(*) FROM t;'
	(
		echo 'BEGIN IMMEDIATE; INSERT INTO t VALUES(20000, 1, "x");' | tr '"' "'"
		sleep 1
		echo 'COMMIT;'
	) | sqlite3 db &
	sleep 0.4
	sqlite3 db "INSERT INTO t VALUES(20001, 1, 'y');" 2>&1 | grep -o 'database is locked'
	wait
	sqlite3 -cmd '.timeout 5000' db "INSERT INTO t VALUES(20001, 1, 'y'); SELECT count(*) FROM t;"
	sqlite3 db 'DELETE FROM t WHERE id > 5000; VACUUM; PRAGMA integrity_check; SELECT count(*) FROM t;'
	sqlite3 db .dump | md5sum
done
