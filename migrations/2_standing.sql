-- Where everybody stands: the order of the claim as people see it. Nothing here decides anything.

-- Each tenant that has waiting jobs, of a model as it is called (NULL: of all), and the virtual time at
-- which its next job would begin, as photo_generation_next reckons it. Also who arrived since the last
-- claim, which no worker may have made for long, and who may not run: caps and pauses are left out.
--   "lookAt"   it has no due job before this moment; NULL: it may have some
--   begins     "turn" is where the model is; who has the least is next
-- Reads the shares of a model once: some milliseconds for ten thousand tenants.
CREATE OR REPLACE FUNCTION public.photo_generation_standing(of_name text)
    RETURNS TABLE (model text, type text, tenant text, name text, "lookAt" timestamptz,
                   turn double precision, begins double precision, "secondsPerCall" double precision)
    LANGUAGE sql STABLE AS $$
WITH arrived AS MATERIALIZED (
    SELECT noted.model, noted.type, noted.tenant, min(noted."dueAt") AS due
    -- As many as one claim takes in.
    FROM (SELECT * FROM public.photo_generation_arrivals LIMIT 5000) AS noted
    GROUP BY noted.model, noted.type, noted.tenant
),
-- Where who comes would begin, the model's own time aside.
kind AS MATERIALIZED (
    SELECT came.model, came.type,
           (SELECT other."virtualTime" FROM public.photo_generation_shares AS other
            WHERE other.model = came.model AND other.type = came.type AND other."lookAt" IS NULL
            ORDER BY other."virtualTime" LIMIT 1) AS lowest
    FROM (SELECT DISTINCT arrived.model, arrived.type FROM arrived) AS came
),
standing AS (
    SELECT share.model, share.type, share.tenant,
           CASE WHEN arrived.due IS NULL THEN share."lookAt"
                WHEN arrived.due > now() AND share."lookAt" IS NOT NULL
                    THEN least(share."lookAt", arrived.due) END AS "lookAt",
           share."virtualTime", share."emptySince" IS NOT NULL AS comes
    FROM public.photo_generation_shares AS share
    LEFT JOIN arrived USING (model, type, tenant)
    WHERE share."emptySince" IS NULL OR arrived.due IS NOT NULL
    UNION ALL
    SELECT arrived.model, arrived.type, arrived.tenant,
           CASE WHEN arrived.due > now() THEN arrived.due END, 0, true
    FROM arrived
    WHERE NOT EXISTS (SELECT FROM public.photo_generation_shares AS share
                      WHERE share.model = arrived.model AND share.type = arrived.type
                        AND share.tenant = arrived.tenant)
),
-- Asked once, not for each row.
usual AS MATERIALIZED (SELECT public.photo_generation_default_model() AS name),
named AS (
    SELECT standing.*, coalesce(nullif(standing.model, ''), usual.name) AS name
    FROM standing
    CROSS JOIN usual
    WHERE of_name IS NULL OR standing.model = of_name OR (standing.model = '' AND usual.name = of_name)
)
SELECT named.model, named.type, named.tenant, named.name, named."lookAt",
       coalesce(known."virtualTime", 0),
       greatest(CASE WHEN named.comes
                     THEN greatest(named."virtualTime", known."virtualTime", kind.lowest)
                     ELSE named."virtualTime" END + coalesce(expected.seconds, 0),
                coalesce(known."virtualTime", 0) - 120),
       coalesce(known."secondsPerCall", 10)
FROM named
LEFT JOIN kind ON named.comes AND kind.model = named.model AND kind.type = named.type
LEFT JOIN public.photo_generation_models AS known ON known.model = named.name
LEFT JOIN public.photo_generation_expected() AS expected
       ON expected.name = named.name AND expected.tenant = named.tenant
$$;
