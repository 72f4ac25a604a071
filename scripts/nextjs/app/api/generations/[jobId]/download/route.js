// GET: all images of a completed job as a zip, streamed; a link or window.open is enough.
import { forward, withJob } from '@/lib/safelight';

export async function GET(request, { params }) {
  const { jobId } = await params;
  return withJob(request, jobId, (job) => forward(request, job, 'download'));
}
