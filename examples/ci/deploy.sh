#!/bin/sh
# Started by `bulla ci`. curl knows nothing of envelopes; each step may do one thing.
set -eu
bulla ci step --only-action deploy -- sh -c 'curl --fail-with-body -X POST "$DEPLOY_URL/releases/$GITHUB_SHA"'
# May look and cannot start anything, whatever is in its dependencies.
bulla ci step --only-action status --for 10m -- npm run smoke-test
