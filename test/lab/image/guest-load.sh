#!/bin/sh
# lab-load : a client of the database on this server. Each number that is in the table for good was said on the third serial port, and thus outside of this server, only
# after the database had acknowledged it.
statements() {
  echo 'CREATE TABLE IF NOT EXISTS commits (n bigint PRIMARY KEY, noise text, at timestamptz DEFAULT now());'
  i=0
  while :; do
    i=$((i + 1))
    echo "INSERT INTO commits (n, noise) VALUES ($i, repeat(md5(random()::text), 20)) RETURNING n;"
    [ $((i % 10)) != 0 ] || echo "UPDATE commits SET noise = repeat(md5(random()::text), 30) WHERE n % 10 = 3 AND n > $i - 60;"
    sleep 0.1
  done
}
cd /
statements | su postgres -s /bin/sh -c 'psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 postgres' >/dev/ttyS2
