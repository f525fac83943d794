#!/bin/sh
# Stands before terraform while the archive is made: plans twice, from files of other ages, and keeps what each plan
# would upload in $KEPT. What only checks is left out; that is done elsewhere.
set -eu
case $1 in
fmt | validate | test) exit 0 ;;
plan) ;;
*) exec terraform "$@" ;;
esac
for each in first second; do
    terraform "$@" >"$KEPT/$each.log" 2>&1 || {
        cat "$KEPT/$each.log"
        exit 1
    }
    cp .build/*.zip "$KEPT/$each.zip"
    rm -rf .build
    find .. -name .git -prune -o -type f -exec touch -t 200101010000 {} +
done
