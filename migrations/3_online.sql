-- Constraints and indexes: what a table that is in use gets without a stop.
--
-- `safelight migrate` runs each statement on its own, if what it names is not there: a constraint is
-- added NOT VALID and validated under a lock that lets everybody read and write; an index is built
-- CONCURRENTLY, and one that was left half built is dropped first. They are named safelight_..., since
-- photo_generation_queue_status_check and the like are what Postgres itself calls an app's.

-- status::text, because an app's column may be an enum.
ALTER TABLE public.photo_generation_batches ADD CONSTRAINT safelight_known_status
    CHECK (status::text IN ('generating', 'completed', 'failed')) NOT VALID;
ALTER TABLE public.photo_generation_queue ADD CONSTRAINT safelight_known_status
    CHECK (status IS NOT NULL AND status::text IN
        ('pending', 'processing', 'rate_limited', 'completed', 'failed', 'canceled')) NOT VALID;
ALTER TABLE public.photo_generation_queue ADD CONSTRAINT safelight_sane_counts
    CHECK (attempts >= 0 AND "imagesTotal" >= 0
           AND "imagesCompleted" >= 0 AND "imagesCompleted" <= "imagesTotal") NOT VALID;

-- Few indexes on the queue: each costs direct inserts 5 to 25 %. None on lockedAt or progress: with
-- one, renewals are never HOT (measured, 0 % against 99 %).
CREATE UNIQUE INDEX CONCURRENTLY safelight_job_id_key
    ON public.photo_generation_queue ("jobId");
-- The due jobs of one share, in claim order: what the claim probes tenant by tenant.
CREATE INDEX CONCURRENTLY safelight_fresh_idx
    ON public.photo_generation_queue
       ((public.photo_generation_model(model)), (public.photo_generation_type(type)),
        (public.photo_generation_tenant("teamId"::text, "userId"::text)),
        (public.photo_generation_place("createdAt", priority)), id)
    WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NULL;
-- Jobs with a moment to wait for, in its order: a hundred thousand future ones cost nothing.
CREATE INDEX CONCURRENTLY safelight_retrying_idx
    ON public.photo_generation_queue
       ((public.photo_generation_model(model)), (public.photo_generation_type(type)),
        (public.photo_generation_tenant("teamId"::text, "userId"::text)), "retryAt")
    WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NOT NULL;
-- The live jobs: renewal, reclaim, "what runs now". A few hundred rows at most.
CREATE INDEX CONCURRENTLY safelight_processing_idx
    ON public.photo_generation_queue (id) WHERE status = 'processing';
-- Waiting jobs that may come too late, for the sweep. Most apps never set it: then this is empty.
CREATE INDEX CONCURRENTLY safelight_expires_idx
    ON public.photo_generation_queue ("expiresAt")
    WHERE status IN ('pending', 'rate_limited') AND "expiresAt" IS NOT NULL;
-- A key names one job of its tenant. The words are those of domain::tenant; ids are cast because
-- only then they may be of any type: integer || text would not be IMMUTABLE.
CREATE UNIQUE INDEX CONCURRENTLY safelight_idempotency_key
    ON public.photo_generation_queue
       ((coalesce('team:' || nullif("teamId"::text, ''), 'user:' || nullif("userId"::text, ''), 'none')),
        "idempotencyKey")
    WHERE "idempotencyKey" IS NOT NULL;
-- The jobs of a tenant, newest first: lists over HTTP.
CREATE INDEX CONCURRENTLY safelight_tenant_jobs_idx
    ON public.photo_generation_queue
       ((public.photo_generation_tenant("teamId"::text, "userId"::text)), id);
CREATE INDEX CONCURRENTLY safelight_batch_idx
    ON public.photo_generation_queue ("batchId") WHERE "batchId" IS NOT NULL;

CREATE INDEX CONCURRENTLY safelight_hook_idx
    ON public.photo_generation_images ("hookTryAt") WHERE "hookError" IS NOT NULL;
-- Calls in flight, and those whose worker died: what claim and sweep settle.
CREATE INDEX CONCURRENTLY safelight_calling_idx
    ON public.photo_generation_calls ("jobId") WHERE state = 'calling';
CREATE INDEX CONCURRENTLY safelight_calls_idx
    ON public.photo_generation_calls ("jobId");
-- What an account has called lately, which is what its limits are about.
CREATE INDEX CONCURRENTLY safelight_budget_idx
    ON public.photo_generation_calls (provider, account, model, "startedAt");

-- Whose turn it is, of each kind; who rests, and until when; who was found empty; and all of a tenant.
CREATE INDEX CONCURRENTLY safelight_turn_idx
    ON public.photo_generation_shares (model, type, "virtualTime") WHERE "lookAt" IS NULL;
CREATE INDEX CONCURRENTLY safelight_rest_idx
    ON public.photo_generation_shares (model, type, "lookAt")
    WHERE "lookAt" IS NOT NULL AND "emptySince" IS NULL;
CREATE INDEX CONCURRENTLY safelight_empty_idx
    ON public.photo_generation_shares ("emptySince") WHERE "emptySince" IS NOT NULL;
CREATE INDEX CONCURRENTLY safelight_tenant_idx
    ON public.photo_generation_shares (tenant);
CREATE INDEX CONCURRENTLY safelight_unused_uploads_idx
    ON public.photo_generation_uploads ("uploadedAt") WHERE "usedAt" IS NULL;
-- Objects of pruned jobs, in the order in which they are to be removed.
CREATE INDEX CONCURRENTLY safelight_removals_idx
    ON public.photo_generation_removals ("tryAt");
-- Messages to apps: those that wait for their next try, those that are ready for it by tenant and by
-- host, those of a job, and the old.
CREATE INDEX CONCURRENTLY safelight_webhooks_due_idx
    ON public.photo_generation_webhooks ("tryAt") WHERE "tryAt" IS NOT NULL AND NOT ready;
CREATE INDEX CONCURRENTLY safelight_webhooks_tenant_idx
    ON public.photo_generation_webhooks ("tenantLot", "tryAt") WHERE "tenantLot" IS NOT NULL;
CREATE INDEX CONCURRENTLY safelight_webhooks_host_idx
    ON public.photo_generation_webhooks ("hostLot", "tryAt") WHERE "hostLot" IS NOT NULL;
CREATE INDEX CONCURRENTLY safelight_webhooks_job_idx
    ON public.photo_generation_webhooks ("jobId");
CREATE INDEX CONCURRENTLY safelight_webhooks_age_idx
    ON public.photo_generation_webhooks ("createdAt") WHERE "tryAt" IS NULL OR "triedAt" IS NULL;
-- Each image of a job and round is captured or refunded once.
CREATE UNIQUE INDEX CONCURRENTLY safelight_settled_key
    ON public.photo_generation_credit_entries ("jobId", round, index) WHERE kind IN ('capture', 'refund');
-- How often a job was reserved for.
CREATE INDEX CONCURRENTLY safelight_rounds_idx
    ON public.photo_generation_credit_entries ("jobId", round) WHERE kind = 'reserve';
-- The sums of one tenant, without a look at the entries themselves.
CREATE INDEX CONCURRENTLY safelight_account_idx
    ON public.photo_generation_credit_entries (tenant, kind) INCLUDE (amount);
CREATE INDEX CONCURRENTLY safelight_reserved_idx
    ON public.photo_generation_credit_reservations (tenant);
CREATE INDEX CONCURRENTLY safelight_returns_idx
    ON public.photo_generation_credit_returns (tenant);
CREATE INDEX CONCURRENTLY safelight_refunds_of_idx
    ON public.photo_generation_credit_refunds ("jobId");
CREATE INDEX CONCURRENTLY safelight_refunds_due_idx
    ON public.photo_generation_credit_refunds ("tryAt") WHERE "tryAt" IS NOT NULL;
