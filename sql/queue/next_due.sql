-- queue/next_due: seconds until the next job may be claimed; 0 when one may be now; NULL when none waits
-- for a moment that we know. Called by db::lease::next_due, to set the timer.
-- $1 accounts ('provider:account'), $2 types (NULL: all), $3 models for whose calls enough wait here.
SELECT photo_generation_next_due($1, $2, $3) AS seconds
