#!/usr/bin/env bash
# Runs a scenario several times, compares the runs with a baseline, and writes one report with the verdict.
# On the main branch (ACCEPT=yes), runs that pass become part of the baseline and of the history.
#
# SCENARIO  scenario to run                          (release.yaml)
# RUNS      number of runs                           (3)
# OUT       folder of the report; files of an earlier build in it are removed (reports/candidate)
# BASELINE  name of the baseline                     (main)
# ACCEPT    yes: accept the runs if they pass        (no)
# OPTIONS   further options of `doorbuster run`, such as "--url https://... --confirm-host ..."
#
# Exit code: that of `doorbuster gate`, or of a run that could not be made.
set -euo pipefail

scenario=${SCENARIO:-release.yaml} runs=${RUNS:-3} out=${OUT:-reports/candidate} baseline=${BASELINE:-main}
read -r -a options <<<"${OPTIONS:-}"

mkdir -p "$out"
if [ "$out" -ef . ]; then
  echo "OUT must be a folder of its own, such as reports/candidate"
  exit 2
fi
# Some runners keep the folder between builds: what this build does not write must not look like its result.
rm -rf "$out"/runs "$out"/*.html "$out"/*.json "$out"/*.log "$out"/*.md "$out"/*.xml
for number in $(seq "$runs"); do
  code=0
  doorbuster run "$scenario" --out "$out/runs/$number" --quiet --no-github "${options[@]}" >"$out/run.log" 2>&1 || code=$?
  case $code in
    0 | 96 | 99) echo "run $number of $runs recorded" ;; # the gate below judges all runs together
    *)
      cat "$out/run.log"
      exit "$code"
      ;;
  esac
done

gate=(doorbuster gate --candidate "$out/runs" --out "$out")
mkdir -p ".doorbuster/baselines/$baseline"
accepted=$(find ".doorbuster/baselines/$baseline" -name run.sqlite | wc -l)
if [ "${ACCEPT:-no}" = yes ] && [ "$accepted" -lt 5 ]; then
  echo "The baseline $baseline has $accepted of the 5 runs that decide; until then, inconclusive is no failure here."
  gate+=(--inconclusive-exit-code 0)
fi
if [ "$accepted" -gt 0 ]; then
  gate+=(--baseline "$baseline")
fi
code=0
"${gate[@]}" || code=$?
if [ "${ACCEPT:-no}" = yes ] && [ "$code" = 0 ]; then
  doorbuster baseline accept "$out/runs" --name "$baseline"
  doorbuster history add "$out/runs"
fi
exit "$code"
