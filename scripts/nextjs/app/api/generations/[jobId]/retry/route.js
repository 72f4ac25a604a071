// POST: a new job with the wishes of one that failed or was canceled. 201 {jobId, originalJobId, job}.
import { forward, withJob } from '@/lib/safelight';

export async function POST(request, { params }) {
  const { jobId } = await params;
  return withJob(request, jobId, (job) => forward(request, job, 'retry'));
}
