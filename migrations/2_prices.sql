-- What calls cost, and the limits rows in which operators say more.
--
-- The prices are those of photo_generation_prices, which operators edit; no number stands anywhere else. A
-- call is expected to cost its price per call, which limits of money heed while it is in flight. When it is
-- settled it costs what its tokens cost, where the provider said them and their price is known.

-- The prices that hold for a model: its own, or those of the one it is a version of. The longest name wins,
-- since gpt-image-1-mini is no version of gpt-image-1.
CREATE OR REPLACE FUNCTION public.photo_generation_prices_of(of_provider text, of_model text)
    RETURNS SETOF public.photo_generation_prices LANGUAGE sql STABLE AS $$
SELECT * FROM public.photo_generation_prices
WHERE provider = of_provider
  AND (model = of_model
       -- What answers in words says nothing of a picture's price.
       OR (starts_with(of_model, model || '-') AND public.photo_generation_provider(model) IS NOT NULL))
ORDER BY length(model) DESC LIMIT 1
$$;

-- What a call is expected to cost where "costPerCall" says nothing. Of what is not known nothing is counted.
CREATE OR REPLACE FUNCTION public.photo_generation_list_price(of_provider text, of_model text)
    RETURNS numeric LANGUAGE sql STABLE AS $$
SELECT "perCall" FROM public.photo_generation_prices_of(of_provider, of_model)
$$;

-- What a call has cost that the provider took: what the operator says a call costs on this account, else
-- what its tokens cost, else what was expected. Of tokens whose kind is not said those that came are a
-- picture's, and those that went are a text's.
CREATE OR REPLACE FUNCTION public.photo_generation_cost(
        of_provider text, of_account text, of_model text,
        input_tokens bigint, input_images bigint, output_tokens bigint, output_images bigint,
        expected numeric)
    RETURNS numeric LANGUAGE sql STABLE AS $$
SELECT coalesce(
    (SELECT "costPerCall" FROM public.photo_generation_limits
     WHERE provider = of_provider AND account = of_account AND model = of_model),
    (SELECT round((greatest(tokens.input - tokens.input_images, 0)
                       * coalesce("inputPerMillion", "inputImagePerMillion", 0)
                   + tokens.input_images * coalesce("inputImagePerMillion", "inputPerMillion", 0)
                   + greatest(tokens.output - tokens.output_images, 0)
                       * coalesce("outputPerMillion", "outputImagePerMillion")
                   + tokens.output_images * coalesce("outputImagePerMillion", "outputPerMillion"))
                  / 1000000, 6)
     FROM public.photo_generation_prices_of(of_provider, of_model)
     -- Bounded: whatever a provider counts, its picture is recorded.
     CROSS JOIN (SELECT least(greatest(input_tokens, 0), 1000000000)::numeric AS input,
                        least(greatest(coalesce(input_images, 0), 0), greatest(input_tokens, 0),
                              1000000000)::numeric
                            AS input_images,
                        least(greatest(output_tokens, 0), 1000000000)::numeric AS output,
                        least(greatest(coalesce(output_images, output_tokens), 0),
                              greatest(output_tokens, 0), 1000000000)::numeric AS output_images) AS tokens
     WHERE output_tokens IS NOT NULL AND input_tokens IS NOT NULL),
    expected)
$$;

-- What a new row of limits allows. OpenAI's lower tiers take few calls a minute and refuse the rest, so its
-- rows begin with a number that operators see and set; Gemini's numbers are shown to the account's owner
-- only.
CREATE OR REPLACE FUNCTION public.photo_generation_first_per_minute(of_provider text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE of_provider WHEN 'openai' THEN 300 END
$$;

-- One row per model we know, so that operators find something to set. What they set stays.
INSERT INTO public.photo_generation_limits (provider, account, model)
SELECT 'gemini', 'default', model
FROM unnest(ARRAY['gemini-2.5-flash', 'gemini-2.5-flash-image', 'gemini-3-pro-image',
                  'gemini-3-pro-image-preview', 'gemini-3.1-flash-image', 'gemini-3.1-flash-image-preview']) AS model
ON CONFLICT DO NOTHING;
INSERT INTO public.photo_generation_limits (provider, account, model, "requestsPerMinute")
SELECT 'openai', 'default', model, public.photo_generation_first_per_minute('openai')
FROM unnest(ARRAY['gpt-image-1', 'gpt-image-1-mini', 'gpt-image-1.5', 'gpt-image-2',
                  'chatgpt-image-latest']) AS model
ON CONFLICT DO NOTHING;
