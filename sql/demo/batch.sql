INSERT INTO photo_generation_batches ("userId") VALUES ($1) RETURNING id
