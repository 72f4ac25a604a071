INSERT INTO photo_generation_queue
    ("batchId", "userId", "basePrompt", "aspectRatio", "numImagesPerExample")
VALUES ($1, $2, $3, $4, $5)
