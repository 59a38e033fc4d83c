#!/bin/sh
# Places an order, and registers its event: DATABASE_URL=postgres://… ./register.sh [NUMBER]
set -eu
: "${DATABASE_URL:?set DATABASE_URL to the database that set-up.sql has been run in}"
cd "$(dirname "$0")"
# From standard input, so that psql's messages are not prefixed by file and line.
exec psql -X -q -A -t -v ON_ERROR_STOP=1 -v number="${1:-7}" "$DATABASE_URL" <register.sql 2>&1
