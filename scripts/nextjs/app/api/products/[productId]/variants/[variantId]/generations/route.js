// POST: enqueues photos of a variant. 202 {jobId, job, pollUrl, message}; an Idempotency-Key of the
// browser's counts, so a request that is sent twice makes one job.
//
// Here is the place to look whether the variant is the team's, and to make the prompt of your workflow.
import { enqueue } from '@/lib/safelight';

export async function POST(request, { params }) {
  const { productId, variantId } = await params;
  return enqueue(request, ({ prompt, numImages, aspectRatio, images }) => ({
    prompt,
    numImages,
    aspectRatio,
    images,
    metadata: { productId, variantId },
  }));
}
