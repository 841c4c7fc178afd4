#!/usr/bin/env bash
# Posts a Markdown file as a comment on a pull request, or replaces the earlier comment with the same marker.
#
# FILE, NUMBER (of the pull request), GITHUB_TOKEN; GITHUB_API_URL and GITHUB_REPOSITORY are set by GitHub.
set -euo pipefail

api=$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues
call() { curl -fsS -H "Authorization: Bearer $GITHUB_TOKEN" -H "Accept: application/vnd.github+json" "$@"; }

marker=$(grep -o '^<!-- doorbuster:.* -->$' "$FILE" | tail -n 1)
body=$(python3 -c 'import json, sys; print(json.dumps({"body": open(sys.argv[1], encoding="utf-8").read()}))' "$FILE")
known=$(call "$api/$NUMBER/comments?per_page=100" | python3 -c '
import json, sys
comments = [one["id"] for one in json.load(sys.stdin) if sys.argv[1] in (one["body"] or "")]
print(*comments[:1])' "$marker")

if [ -n "$known" ]; then
  call -X PATCH -d "$body" "$api/comments/$known" >/dev/null
  echo "comment $known replaced"
else
  call -X POST -d "$body" "$api/$NUMBER/comments" >/dev/null
  echo "comment posted"
fi
