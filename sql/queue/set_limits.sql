-- queue/set_limits: an operator changes what one account may ask of one model. Called by db::limits.
-- $1 provider, $2 account, $3 model; then in pairs, whether to change and to what (NULL: no limit):
-- $4 $5 per minute, $6 $7 per day, $8 $9 at a time, $10 $11 milliseconds between two, $12 $13 cost per
-- day, $14 $15 cost per call; $16 paused (NULL: as it is).
-- Who says what is taken a minute knows better than what the provider said before.
INSERT INTO photo_generation_limits AS l
    (provider, account, model, "requestsPerMinute", "requestsPerDay", "maxConcurrent",
     "minIntervalMs", "maxCostPerDay", "costPerCall", paused)
VALUES ($1, $2, $3, $5, $7, $9, $11, $13::float8::numeric, $15::float8::numeric, coalesce($16, false))
ON CONFLICT (provider, account, model) DO UPDATE
SET "requestsPerMinute" = CASE WHEN $4 THEN excluded."requestsPerMinute" ELSE l."requestsPerMinute" END,
    "statedPerMinute" = CASE WHEN NOT $4 THEN l."statedPerMinute" END,
    "statedAt" = CASE WHEN NOT $4 THEN l."statedAt" END,
    "requestsPerDay" = CASE WHEN $6 THEN excluded."requestsPerDay" ELSE l."requestsPerDay" END,
    "maxConcurrent" = CASE WHEN $8 THEN excluded."maxConcurrent" ELSE l."maxConcurrent" END,
    "minIntervalMs" = CASE WHEN $10 THEN excluded."minIntervalMs" ELSE l."minIntervalMs" END,
    "maxCostPerDay" = CASE WHEN $12 THEN excluded."maxCostPerDay" ELSE l."maxCostPerDay" END,
    "costPerCall" = CASE WHEN $14 THEN excluded."costPerCall" ELSE l."costPerCall" END,
    paused = coalesce($16, l.paused)
