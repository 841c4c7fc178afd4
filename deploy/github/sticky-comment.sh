#!/usr/bin/env bash
# Posts a Markdown file as a comment on a pull request, or replaces the earlier comment with the same marker.
#
# FILE, NUMBER (of the pull request), GITHUB_TOKEN; GITHUB_API_URL and GITHUB_REPOSITORY are set by GitHub.
set -euo pipefail

api=$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues
call() { curl -fsS -H "Authorization: Bearer $GITHUB_TOKEN" -H "Accept: application/vnd.github+json" "$@"; }

marker=$(grep -o '^<!-- doorbuster:.* -->$' "$FILE" | tail -n 1)
body() { python3 -c 'import json, sys; print(json.dumps({"body": open(sys.argv[1], encoding="utf-8").read()}))' "$FILE"; }
known=
for page in $(seq 20); do # a hundred comments each
  known=$(call "$api/$NUMBER/comments?per_page=100&page=$page" | python3 -c '
import json, sys
comments = json.load(sys.stdin)
ids = [one["id"] for one in comments if sys.argv[1] in (one["body"] or "")]
print(*(ids[:1] or ["none"] * (len(comments) < 100)))' "$marker")
  if [ -n "$known" ]; then break; fi
done

if [ "${known:-none}" != none ]; then
  body | call -X PATCH --data-binary @- "$api/comments/$known" >/dev/null
  echo "comment $known replaced"
else
  body | call -X POST --data-binary @- "$api/$NUMBER/comments" >/dev/null
  echo "comment posted"
fi
